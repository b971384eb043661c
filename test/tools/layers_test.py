#!/usr/bin/env python3
"""ctest `layers`: a forbidden include fails the build, and its removal mends it.

usage: layers_test.py REPOSITORY

Works on a scratch copy of the sources in a temporary folder, so the tree is never touched: configures it, adds one
violation at a time, runs ninja on the library concerned, and compares what the build says. The rule comes before the
compiler, so nothing is compiled here.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# file, line to add, target whose build must fail, what the message says
CASES = [
    ('src/base/ip.h', '#include "kube/api/types.h"', 'base',
     'base may not include "kube/api/types.h"'),
    ('src/kernel/netlink/encode.h', '#include "kube/api/types.h"', 'kernel_netlink',
     'kernel/netlink may not include "kube/api/types.h"'),
    ('src/fabric/compile.cc', '#include "async/loop.h"', 'fabric', 'a pure file may not reach "async/loop.h"'),
    ('src/fabric/compile.cc', '#include "base/log.h"', 'fabric', 'no clock, log or I/O'),
    ('src/fabric/tables.h', '#include "kernel/netlink/rtnetlink.h"', 'fabric',
     'a pure file may not reach "kernel/netlink/rtnetlink.h"'),
    ('src/pod/x.h', '#include "fabric/tables.h"', 'pod', 'pod may not include "fabric/tables.h"'),
    ('src/cluster/model/model.h', '#include "kube/client/cache.h"', 'cluster_model',
     'cluster/model may not include "kube/client/cache.h"'),
    ('src/strange/x.h', '#include "base/ip.h"', 'base', 'tools/layers.txt does not know this folder'),
]


def copy(source, target):
    """The files of the repository that a build reads; neither build trees nor .git."""
    for name in ('CMakeLists.txt', 'CMakePresets.json'):
        shutil.copy(source / name, target / name)
    for name in ('cmake', 'src', 'bpf', 'apps', 'tools', 'test'):
        if (source / name).exists():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns('__pycache__', 'seeds', 'peers'))


def ninja(tree, target, *options):
    done = subprocess.run(['ninja', '-C', tree, *options, target], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    failures = []
    with tempfile.TemporaryDirectory(prefix='causeway-layers-') as scratch:
        root = pathlib.Path(scratch)
        copy(source, root)
        tree = root / 'build/dev'
        done = subprocess.run(['cmake', '--preset', 'dev'], cwd=root, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            print(done.stdout)
            print('0 passed, 1 failed')
            return 1
        code, output = ninja(tree, 'layers')
        passed = 1 if code == 0 else 0
        if code:
            failures.append(f'the untouched sources break the rule:\n{output}')
        for file, line, target, message in CASES if passed else []:
            path = root / file
            before = path.read_text() if path.exists() else None
            path.parent.mkdir(exist_ok=True)
            path.write_text((before or '#pragma once\n') + line + '\n')
            code, output = ninja(tree, target)
            stopped = code != 0 and f'{file}:' in output and message in output
            compiled = [row for row in output.splitlines() if 'Building CXX object' in row]
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
            # Mended: the rule alone is asked, building a whole library again would prove nothing more.
            mended, _ = ninja(tree, 'layers')
            if stopped and not compiled and mended == 0:
                passed += 1
                print(f'{file} + {line}: the build of {target} fails: {message}')
            else:
                failures.append(f'{file} + {line}: build of {target} ended with {code}, compiled {len(compiled)} files, '
                                f'mended {mended == 0}; expected "{message}" in:\n{output}')
    for failure in failures:
        print(failure)
    print(f'{passed} passed, {len(failures)} failed')
    return 1 if failures else 0


sys.exit(main())
