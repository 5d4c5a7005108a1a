#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates C from one .proto file with protoc-c.

Generators before protobuf-c 1.5 refuse `optional` in proto3. For those a copy of the file is made
in which an optional scalar becomes a oneof with one member, which is the same on the wire, and the
generated code is then rewritten to what a newer generator emits:

    optional uint32 a  ->  protobuf_c_boolean has_a; uint32_t a;
    optional string b  ->  char *b; NULL when absent

A message-typed field always has presence; `optional` is just dropped from it.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

OPTIONAL = re.compile(r"^(\s*)optional\s+([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*;", re.M)
ENUM_OF_CASES = re.compile(r"typedef enum \{\n  \w+?___\w+__NOT_SET = 0,\n(?:[^}]*)\} \w+;\n\n")
MESSAGE = re.compile(r"struct  \w+\n\{.*?\n\};\n#define \w+__INIT \\\n \{.*?\}\n\n", re.S)
MEMBER = re.compile(r"  \w+ _\w+_case;\n  union \{\n    (.*?)(\w+);\n  \};\n")
INITIAL = re.compile(r", \w+?___\w+__NOT_SET, \{0\}")
FIELD = re.compile(
    r"PROTOBUF_C_LABEL_NONE,\n    PROTOBUF_C_TYPE_(\w+),\n    offsetof\((\w+), _\w+_case\),\n"
    r"    offsetof\(\w+, (\w+)\),\n    (.*),\n    (.*),\n    0 \| PROTOBUF_C_FIELD_FLAG_ONEOF,")


def message_names(root):
    """The names of all messages below root, without packages."""
    names = set()
    for path in root.rglob("*.proto"):
        names.update(re.findall(r"^\s*message\s+(\w+)", path.read_text(), re.M))
    return names


def without_optional(text, messages):
    def replace(match):
        indent, kind, name, number = match.groups()
        if kind.split(".")[-1] in messages:
            return f"{indent}{kind} {name} = {number};"
        return f"{indent}oneof _{name} {{ {kind} {name} = {number}; }}"

    return OPTIONAL.sub(replace, text)


def rewrite_message(match):
    initials = []

    def member(found):
        kind, name = found.groups()
        if kind == "char *":
            initials.append(", NULL")
            return f"  char *{name};\n"
        initials.append(", 0, {0,NULL}" if kind.startswith("ProtobufCBinaryData") else ", 0, 0")
        return f"  protobuf_c_boolean has_{name};\n  {kind}{name};\n"

    text = MEMBER.sub(member, match.group(0))
    rest = iter(initials)
    return INITIAL.sub(lambda _: next(rest), text)


def rewrite_header(text):
    return MESSAGE.sub(rewrite_message, ENUM_OF_CASES.sub("", text))


def rewrite_source(text):
    def field(match):
        kind, struct, name, descriptor, default = match.groups()
        has = "0" if kind == "STRING" else f"offsetof({struct}, has_{name})"
        default = "NULL" if kind == "STRING" else default
        return (f"PROTOBUF_C_LABEL_OPTIONAL,\n    PROTOBUF_C_TYPE_{kind},\n    {has},\n"
                f"    offsetof({struct}, {name}),\n    {descriptor},\n    {default},\n    0,")

    return FIELD.sub(field, text)


def run(compiler, includes, out, proto):
    command = [compiler, *(f"-I{i}" for i in includes), f"--c_out={out}", proto]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def generate(compiler, root, proto, scratch):
    """The generated (header, source) texts."""
    text = (root / proto).read_text()
    result = scratch / "c"
    result.mkdir()
    done = run(compiler, [root], result, proto)
    is_rewritten = done.returncode != 0 and "optional" in done.stderr
    if is_rewritten:
        copies = scratch / "proto"
        copy = copies / proto
        copy.parent.mkdir(parents=True)
        copy.write_text(without_optional(text, message_names(root)))
        done = run(compiler, [copies, root], result, proto)
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        sys.exit(done.returncode)
    stem = proto[: -len(".proto")]
    header = (result / (stem + ".pb-c.h")).read_text()
    source = (result / (stem + ".pb-c.c")).read_text()
    if is_rewritten:
        header, source = rewrite_header(header), rewrite_source(source)
        if re.search(r"[a-zA-Z0-9]___\w+(_NOT_SET|_case)|, _\w+_case\)", header + source):
            sys.exit(f"{proto}: the generator's output has an unknown form")
    return header, source


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--root", required=True, type=pathlib.Path, help="of the import paths")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="counterpart of root")
    parser.add_argument("proto", help="relative to root")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        header, source = generate(arguments.compiler, arguments.root, arguments.proto,
                                  pathlib.Path(scratch))
    # The rpc "Register" would become a member whose name is a keyword of C.
    header = header.replace("(*register)(", "(*register_)(")
    target = arguments.out / arguments.proto
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".pb-c.h").write_text(header)
    target.with_suffix(".pb-c.c").write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
