#!/usr/bin/env python3
"""The layer rule: who may include whom (tools/layers.txt), on every build.

usage: layers.py [--all] [ROOT]     exit 1 and one line for each violation

Checks the #include lines of src/, apps/ and bpf/, that compilers and tables are pure, and that the DEPS of each folder's
CMakeLists.txt name what it includes and nothing that it may not. --all (./dev lint): other people's headers too.
Tests (*_test.cc) may see more.
"""
import fnmatch
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
SOURCE = ('.h', '.cc', '.c')


class Rules:
    def __init__(self, path):
        self.allow, self.external, self.heavy = {}, {}, []
        self.pure, self.pure_sees, self.impure, self.impure_calls = [], [], [], []
        for number, line in enumerate(open(path), 1):
            line = line.split('#')[0].strip()
            if not line:
                continue
            left, arrow, right = line.partition('->')
            head, words = left.split()[0], left.split()[1:]
            if head == 'impure':
                self.impure = words
            elif head == 'impure_call':
                self.impure_calls = words
            elif head == 'heavy':
                self.heavy = words
            elif not arrow:
                sys.exit(f'{path}:{number}: no "->"')
            elif head == 'pure':
                self.pure, self.pure_sees = words, right.split()
            elif head == 'external':
                self.external[words[0]] = right.split()
            else:
                self.allow[head] = right.split()

    def room(self, folder):
        """The folder itself or the one above it that the rules name: lab/workload is a corner of lab."""
        while folder and not any(matches(folder, [p]) and folder.count('/') == p.count('/') for p in self.allow):
            folder = os.path.dirname(folder)
        return folder

    def of(self, room):
        """What `room` may include; None where the rules do not name it."""
        return self.allow.get(room) or next((self.allow[p] for p in self.allow if fnmatch.fnmatch(room, p)), None)


def matches(name, patterns):
    return any(name == p or fnmatch.fnmatch(name, p) for p in patterns)


class Tree:
    """Every source file by the name it is included with ("kube/api/types.h"), with its includes."""

    def __init__(self, root, rules):
        self.root, self.rules, self.files = root, rules, {}
        for top in ('src', 'bpf', 'apps'):
            for folder, subfolders, names in os.walk(os.path.join(root, top)):
                subfolders.sort()
                for name in sorted(names):
                    if not name.endswith(SOURCE):
                        continue
                    path = os.path.join(folder, name)
                    key = os.path.relpath(path, os.path.join(root, top))
                    if top == 'apps' or (top == 'bpf' and not key.startswith('abi/')):
                        key = f'{top}/{key}'
                    text = open(path, encoding='utf-8', errors='replace').read()
                    self.files[key] = (os.path.relpath(path, root), text, [
                        (m.group(1), m.group(2), text.count('\n', 0, m.start()) + 1) for m in INCLUDE.finditer(text)])

    def folder(self, key):
        """kube/api/types.h -> kube/api; bpf/lib/ct.h -> bpf."""
        if key.startswith(('bpf/', 'abi/', 'apps/')):
            return key.split('/')[0]
        return self.rules.room(os.path.dirname(key))

    def resolve(self, key, included):
        """The file of ours that an include names, or None."""
        for candidate in (included, os.path.normpath(os.path.join(os.path.dirname(key), included)), f'bpf/{included}'):
            if candidate in self.files:
                return candidate
        return None

    def closure(self, key):
        """(file, line, quote, name) of all that `key` reaches."""
        seen, stack = set(), [key]
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            for quote, name, line in self.files[at][2]:
                target = self.resolve(at, name)
                yield at, line, quote, name, target
                if target:
                    stack.append(target)


def check_includes(tree, rules):
    for key, (path, _, includes) in tree.files.items():
        if key.endswith('_test.cc'):
            continue
        folder = tree.folder(key)
        may = rules.of(folder)
        if may is None:
            yield f'{path}:1: tools/layers.txt does not know this folder: add a line for it'
            continue
        for _, name, line in includes:
            target = tree.resolve(key, name)
            if target:
                other = tree.folder(target)
                if other != folder and not matches(other, may):
                    yield (f'{path}:{line}: {folder} may not include "{name}": it sees only '
                           f'{" ".join(may) or "itself"} (tools/layers.txt)')


def check_external(tree, rules):
    """Other people's headers: in the folders that wrap them, and never carried into another folder by a header."""
    heavy = {}  # header of ours -> line, name of a heavy include, folders that may reach it
    for key, (path, _, includes) in tree.files.items():
        if key.endswith('_test.cc'):
            continue
        folder = tree.folder(key)
        for quote, name, line in includes:
            if tree.resolve(key, name):
                continue
            for prefix, folders in rules.external.items():
                if name.startswith(prefix) and not matches(folder, folders):
                    yield (f'{path}:{line}: {folder} may not include <{name}>: only {" ".join(folders) or "tests"} may '
                           f'(tools/layers.txt)')
            for prefix in rules.heavy:
                if key.endswith('.h') and name.startswith(prefix):
                    heavy[key] = (line, name, rules.external.get(prefix, []))
    for key in tree.files:
        if key.endswith('_test.cc'):
            continue
        for *_, target in tree.closure(key):
            if target not in heavy or tree.folder(target) == tree.folder(key):
                continue
            line, name, folders = heavy[target]
            if not matches(tree.folder(key), folders):
                yield f'{tree.files[target][0]}:{line}: <{name}> is heavy and reaches {tree.files[key][0]}: keep it in .cc files'


def check_pure(tree, rules):
    for key, (path, text, _) in tree.files.items():
        if key.endswith('_test.cc') or not matches(key, rules.pure):
            continue
        own = tree.folder(key)
        for at, line, quote, name, target in tree.closure(key):
            via = '' if at == key else f' (by way of {tree.files[key][0]}, which must stay pure)'
            if target and tree.folder(target) != own and not matches(tree.folder(target), rules.pure_sees):
                yield f'{tree.files[at][0]}:{line}: a pure file may not reach "{name}"{via}'
            if (name if quote == '"' else f'<{name}>') in rules.impure and not at.startswith('base/'):
                yield f'{tree.files[at][0]}:{line}: a pure file may not reach {name}: no clock, log or I/O{via}'
        for number, row in enumerate(text.split('\n'), 1):
            for call in rules.impure_calls:
                if call in row.split('//')[0]:
                    yield f'{path}:{number}: a pure file may not call {call}: time is an argument'


def libraries(tree):
    """target -> (room, CMakeLists path, DEPS)."""
    found = {}
    for top, _, names in os.walk(os.path.join(tree.root, 'src')):
        if 'CMakeLists.txt' not in names:
            continue
        path = os.path.join(top, 'CMakeLists.txt')
        text = re.sub(r'#.*', '', open(path).read())
        for call in re.finditer(r'causeway_library\s*\(\s*(\w+)([^)]*)\)', text):
            deps, keyword = [], None
            for word in call.group(2).split():
                if word in ('DEPS', 'LIBS', 'PRIVATE_LIBS', 'TEST_DEPS'):
                    keyword = word
                elif keyword == 'DEPS':
                    deps.append(word)
            room = tree.rules.room(os.path.relpath(top, os.path.join(tree.root, 'src')))
            found[call.group(1)] = (room, os.path.relpath(path, tree.root), deps)
    return found


def check_links(tree, rules):
    found = libraries(tree)
    targets = {}  # room -> its targets
    for target, (room, _, _) in found.items():
        targets.setdefault(room, set()).add(target)

    def reach(target, seen):
        for dep in found.get(target, ('', '', []))[2]:
            if dep not in seen:
                seen.add(dep)
                reach(dep, seen)
        return seen

    for target, (room, path, deps) in found.items():
        may = rules.of(room) or []
        for dep in deps:
            if dep in found and found[dep][0] != room and not matches(found[dep][0], may):
                yield f'{path}:1: {target} may not link {dep}: {room} sees only {" ".join(may) or "itself"}'

    for key, (path, _, includes) in tree.files.items():
        room = tree.folder(key)
        if key.endswith('_test.cc') or room not in targets:
            continue
        linked = set().union(*(reach(target, set()) for target in targets[room]))
        for _, name, line in includes:
            other = tree.resolve(key, name)
            wanted = targets.get(tree.folder(other), set()) if other and tree.folder(other) != room else set()
            if wanted and not wanted & linked:
                yield f'{path}:{line}: includes "{name}", but the DEPS of {"/".join(sorted(targets[room]))} lack {"/".join(sorted(wanted))}'


def main():
    if len(sys.argv) > 1 and sys.argv[1] in ('-h', '--help'):
        print(__doc__.strip())
        return 0
    arguments = [a for a in sys.argv[1:] if a != '--all']
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    rules = Rules(os.path.join(root, 'tools/layers.txt'))
    tree = Tree(root, rules)
    checks = [check_includes, check_pure, check_links] + ([check_external] if '--all' in sys.argv else [])
    problems = sorted({problem for check in checks for problem in check(tree, rules)})
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
