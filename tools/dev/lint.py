"""What ./dev lint checks; see tools/dev/lint.sh, which is its front."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / 'build/dev'
SOURCES = ('.h', '.cc', '.c')


def run(*command, **options):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


def tracked():
    """Files of the repository, new ones included, that are not deleted."""
    out = run('git', 'ls-files', '-co', '--exclude-standard').stdout.split('\n')
    return [f for f in out if f and (ROOT / f).is_file()]


def changed():
    base = run('git', 'merge-base', 'HEAD', '@{upstream}').stdout.strip() or 'HEAD'
    files = run('git', 'diff', '--name-only', '--diff-filter=d', base).stdout.split('\n')
    files += run('git', 'ls-files', '-o', '--exclude-standard').stdout.split('\n')
    return sorted({f for f in files if f and (ROOT / f).is_file()})


def parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [line for lines in pool.map(function, items) for line in lines]


def layers(_):
    return run('python3', 'tools/layers.py', '--all').stderr.splitlines()


def format_(_):
    def one(file):
        out = run('clang-format-19', '--dry-run', file).stderr
        return [f'{file}: clang-format would change {out.count("warning:")} places (./dev fmt {file})'] if out else []
    return parallel(one, [f for f in tracked() if f.endswith(SOURCES)])


def configured():
    """The dev tree with what the build generates (kernel program skeletons), as clang-tidy needs it."""
    if not (TREE / 'build.ninja').exists():
        done = run('cmake', '--preset', 'dev')
        if done.returncode:
            return f'cmake --preset dev failed: {done.stderr.strip()[-500:]}'
    run('ninja', '-C', str(TREE), '-k', '0', 'bpf_skeletons')
    return ''


def tidy(everything):
    if problem := configured():
        return [problem]
    known = {os.path.relpath(entry['file'], ROOT) for entry in json.loads((TREE / 'compile_commands.json').read_text())}
    files = [f for f in (tracked() if everything else changed()) if f in known and f.endswith('.cc')]

    def one(file):
        done = run('clang-tidy-19', '-p', str(TREE), '--quiet', file)
        return [line.replace(f'{ROOT}/', '') for line in done.stdout.splitlines() if ': error:' in line or ': warning:' in line]
    return sorted(set(parallel(one, files)))


def headers(everything):
    if problem := configured():
        return [problem]
    generated = [f'-I{TREE / "bpf"}'] + [f'-I{p.parent}' for p in TREE.glob('bpf/**/*.skel.h')]
    files = [f for f in (tracked() if everything else changed()) if f.endswith('.h') and f.startswith(('src/', 'bpf/abi/'))]

    def one(file):
        done = run('clang++-19', '-std=gnu++23', '-fsyntax-only', '-x', 'c++', '-Wno-pragma-once-outside-header', '-Isrc', '-Ibpf',
                   *dict.fromkeys(generated), file)
        return [f'{file} does not compile by itself: {done.stderr.strip().splitlines()[0]}'] if done.returncode else []
    return parallel(one, files)


# --- docs -----------------------------------------------------------------------------------------------------------
FOREIGN = {'kubectl', 'ip', 'tc', 'nft', 'bpftool', 'curl', 'ping', 'tcpdump', 'apt-get', 'git', 'cmake', 'ninja', 'nsenter',
           'cat', 'ls', 'export', 'ss', 'sqlite3', 'clang-19', 'ccache', 'mold', 'sudo', 'cd', 'jq'}


def words_of(files):
    words = set()
    for file in files:
        words.update(re.findall(r'[A-Za-z_]\w*', (ROOT / file).read_text(errors='replace')))
    return words


def test_names():
    names = {'unit', 'scenario', 'sim', 'kernel', 'lab', 'cluster', 'qemu'}
    for file in tracked():
        if file.endswith('CMakeLists.txt'):
            names.update(re.findall(r'causeway_(?:script_)?test\s*\(\s*([\w${}.-]+)', (ROOT / file).read_text()))
            names.update(name + '_test' for name in re.findall(r'causeway_library\s*\(\s*(\w+)', (ROOT / file).read_text()))
    return names | {'fuzz_replay'}


def is_test(name, known):
    """Whether ./dev test would find `name` by the registered name `known`, which may hold ${variables}."""
    return name in known or '${' in known and re.fullmatch(re.sub(r'\\\$\\\{\w+\\\}', r'\\w+', re.escape(known)), name)


def check_dev(words):
    """A sentence about `./dev WORD…`, or None when it can be run."""
    if not words:
        return None
    command = words[0]
    if not (ROOT / f'tools/dev/{command}.sh').exists() or command in ('lib', 'leftovers'):
        return f'./dev has no command {command}'
    names = [n for word in words[1:] if not word.startswith(('-', '[')) for n in word.split('|') if re.fullmatch(r'[a-z][\w.-]*', n)]
    if command == 'bench':
        missing = [n for n in names if n != 'all' and not (ROOT / f'bench/{n}').is_dir()]
    elif command == 'test':
        known = test_names()
        missing = [n for n in names if not any(is_test(n, k) for k in known)]
    elif command == 'peers':
        known = (ROOT / 'test/peers/peers.txt').read_text().split() + ['kubectl', 'cluster', 'suites', 'images']
        missing = [n for n in names if n not in known]
    else:
        missing = []
    return f'./dev {command} does not know {" ".join(missing)}' if missing else None


def check_causeway(words, literals):
    """Each word before the first option must be a command of ours: a string literal of src/cli or src/lab."""
    for word in words:
        if not re.fullmatch(r'[a-z][a-z-]*', word):
            return None
        if word not in literals:
            return f'causeway has no command {" ".join(words)}'
        if word in ('exec', 'apply', 'logs'):
            return None
    return None


def docs(_):
    files, problems = tracked(), []
    code = [f for f in files if f.endswith((*SOURCES, '.py', '.sh', '.txt', '.json', '.yaml', '.cmake')) and
            f.startswith(('src/', 'bpf/', 'apps/', 'test/', 'tools/', 'bench/', 'cmake/', 'examples/', 'CMake'))]
    symbols = words_of(code)
    literals = set()
    for file in code:
        if file.startswith(('src/cli/', 'src/lab/', 'apps/')) and file.endswith('.cc'):
            literals.update(re.findall(r'"([a-z][a-z-]*)"', (ROOT / file).read_text(errors='replace')))
    index = (ROOT / 'docs/decisions/README.md').read_text()
    problems += [f'docs/decisions/README.md does not link {f}' for f in files if f.startswith('docs/decisions/') and
                 f.endswith('.md') and f != 'docs/decisions/README.md' and f'({os.path.basename(f)})' not in index]
    for page in ('docs/tour.md', 'README.md'):
        if not (ROOT / page).exists():
            problems.append(f'{page} is missing')
            continue
        fenced = False
        for number, line in enumerate((ROOT / page).read_text().split('\n'), 1):
            if line.startswith('```'):
                fenced = not fenced
                continue
            spans = [line.strip()] if fenced else re.findall(r'`([^`]+)`', line)
            for target in re.findall(r'\]\((?!https?:|#)([^)#]+)', '' if fenced else line):
                if not ((ROOT / page).parent / target).exists():
                    problems.append(f'{page}:{number}: links to {target}, which does not exist')
            for span in spans:
                for part in re.split(r'\s*(?:&&|\|\||;)\s+', span.split(' #')[0].removeprefix('$ ')):
                    if problem := judge(page, part.strip(), fenced, symbols, literals):
                        problems.append(f'{page}:{number}: {problem}')
    return problems


def judge(page, span, fenced, symbols, literals):
    words = span.split()
    if not words:
        return None
    if words[0] == './dev':
        return check_dev(words[1:])
    if words[0] in ('causeway', 'build/release/apps/causeway'):
        return check_causeway(words[1:], literals)
    if words[0] in FOREIGN or fenced or words[0].startswith('-') or '=' in words[0]:
        return None
    if re.fullmatch(r'[\w.*{},-]*/[\w./*{},-]*', span) or re.fullmatch(r'[\w.-]+\.(md|txt|h|cc|c|sh|py|json|yaml|cmake)', span):
        if span.startswith('/'):
            return None  # a path of the running system
        if span.startswith('build/'):
            return None  # made by the build
        found = any(list((ROOT / base).glob(choice)) for base in ('', 'src', 'docs', 'bpf') for choice in braces(span.rstrip('/')))
        return None if found else f'the path {span} does not exist'
    if page != 'docs/tour.md':
        return None
    missing = [w for w in re.findall(r'[A-Za-z_]\w{2,}', span) if w not in symbols]
    return f'nothing is called {" ".join(missing)} (in `{span}`)' if missing else None


def braces(path):
    match = re.search(r'\{([^}]*)\}', path)
    if not match:
        return [path]
    return [one for choice in match.group(1).split(',') for one in braces(path[:match.start()] + choice + path[match.end():])]


def readmes(_):
    folders = {'bpf', 'bench', 'tools', 'test', 'apps', 'examples'}
    for file in tracked():
        parts = file.split('/')
        if parts[0] == 'src' and parts[-1] == 'CMakeLists.txt':
            folders.add(os.path.dirname(file))
        if parts[0] == 'test' and len(parts) > 2 and parts[1] != 'peers':
            folders.add('/'.join(parts[:2]))
        if parts[0] in ('bench', 'examples') and len(parts) > 2:
            folders.add('/'.join(parts[:2]))
    folders.add('test/peers')
    return [f'{folder}: no README.md (purpose, main path, invariants, how to inspect it live)'
            for folder in sorted(folders) if (ROOT / folder).is_dir() and not (ROOT / folder / 'README.md').exists()]


CHECKS = {'layers': layers, 'format': format_, 'tidy': tidy, 'headers': headers, 'docs': docs, 'readmes': readmes}


def main():
    parser = argparse.ArgumentParser(prog='./dev lint', description='See ./dev lint --help.')
    parser.add_argument('checks', nargs='*', metavar='CHECK')
    parser.add_argument('--all', action='store_true')
    options = parser.parse_args()
    for name in options.checks:
        if name not in CHECKS:
            parser.error(f'there is no check {name!r} ({" ".join(CHECKS)})')
    failed = []
    for name in options.checks or CHECKS:
        problems = CHECKS[name](options.all)
        print(f'{"FAIL" if problems else "ok  "} {name}')
        for problem in problems:
            print(f'     {problem}')
        sys.stdout.flush()
        if problems:
            failed.append(name)
    return 1 if failed else 0


sys.exit(main())
