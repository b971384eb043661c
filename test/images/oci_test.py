"""ctest `images`: the archive is what OCI's image-spec says, always the same, and holds what a program needs to run."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import oci  # noqa: E402
import recipes  # noqa: E402
import rootfs  # noqa: E402

IMAGES = [oci.Image('one', ('example.test/one:1', 'example.test/first:2'), ('base', 'top'), entrypoint=('/run',), command=('x',), ports=(80,)),
          oci.Image('two', ('example.test/two:1',), ('base',))]
LAYERS = {'base': {'/bin': oci.Link('usr/bin'), '/usr/bin/tool': oci.File(content=b'#!/bin/sh\n', mode=0o755), '/tmp': oci.Folder(0o1777)},
          'top': {'/run': oci.File(content=b'run', mode=0o755)}}


class Archive(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='causeway-oci-')
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name='a.tar', images=IMAGES, layers=LAYERS):
        path = os.path.join(self.folder, name)
        oci.write_archive(path, images, layers)
        return path

    def members(self, path):
        with tarfile.open(path) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}

    def test_every_blob_has_the_name_of_its_content(self):
        files = self.members(self.write())
        blobs = {name.removeprefix('blobs/sha256/'): data for name, data in files.items() if name.startswith('blobs/')}
        self.assertEqual(len(blobs), 6)  # two layers, two configurations, two manifests
        for name, data in blobs.items():
            self.assertEqual(hashlib.sha256(data).hexdigest(), name)
        self.assertEqual(json.loads(files['oci-layout']), {'imageLayoutVersion': '1.0.0'})

    def test_every_name_leads_to_its_manifest_configuration_and_layers(self):
        files = self.members(self.write())
        blob = lambda of: files['blobs/' + of.replace(':', '/')]  # noqa: E731
        entries = json.loads(files['index.json'])['manifests']
        self.assertEqual([e['annotations']['io.containerd.image.name'] for e in entries],
                         ['example.test/one:1', 'example.test/first:2', 'example.test/two:1'])
        self.assertEqual(entries[0]['digest'], entries[1]['digest'])
        self.assertNotEqual(entries[0]['digest'], entries[2]['digest'])
        for entry in entries:
            manifest = json.loads(blob(entry['digest']))
            self.assertEqual(len(blob(entry['digest'])), entry['size'])
            config = json.loads(blob(manifest['config']['digest']))
            self.assertEqual(config['rootfs']['diff_ids'], [layer['digest'] for layer in manifest['layers']])
            self.assertEqual([len(blob(layer['digest'])) for layer in manifest['layers']], [layer['size'] for layer in manifest['layers']])
        config = json.loads(blob(json.loads(blob(entries[0]['digest']))['config']['digest']))['config']
        self.assertEqual((config['Entrypoint'], config['Cmd'], config['ExposedPorts']), (['/run'], ['x'], {'80/tcp': {}}))

    def test_the_same_content_gives_the_same_bytes(self):
        first = self.write('a.tar')
        second = self.write('b.tar', layers={name: dict(reversed(list(tree.items()))) for name, tree in LAYERS.items()})
        self.assertEqual(open(first, 'rb').read(), open(second, 'rb').read())

    def test_a_layer_holds_modes_links_and_directories_above_their_files(self):
        out = io.BytesIO()
        oci.write_layer(out, LAYERS['base'])
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            told = [(m.name, m.type, oct(m.mode), m.linkname, m.uid, m.gid, m.mtime) for m in tar.getmembers()]
        self.assertEqual(told, [('bin', tarfile.SYMTYPE, '0o777', 'usr/bin', 0, 0, 0), ('tmp', tarfile.DIRTYPE, '0o1777', '', 0, 0, 0),
                                ('usr', tarfile.DIRTYPE, '0o755', '', 0, 0, 0), ('usr/bin', tarfile.DIRTYPE, '0o755', '', 0, 0, 0),
                                ('usr/bin/tool', tarfile.REGTYPE, '0o755', '', 0, 0, 0)])

    def test_a_file_below_a_link_is_refused(self):
        with self.assertRaisesRegex(ValueError, '/bin/x: /bin is a link in the same layer'):
            oci.write_layer(io.BytesIO(), {'/bin': oci.Link('usr/bin'), '/bin/x': oci.File(content=b'')})

    def test_a_build_that_fails_leaves_nothing(self):
        with self.assertRaises(FileNotFoundError):
            self.write(layers={**LAYERS, 'top': {'/run': oci.File(source=self.folder + '/absent')}})
        self.assertEqual(os.listdir(self.folder), [])


class Rootfs(unittest.TestCase):
    def test_a_program_runs_in_its_tree_and_nowhere_else_looks_for_a_library(self):
        tree = rootfs.tree_of(['bash', 'cat'], {'/usr/bin/sh': 'bash'}, {'/etc/note': 'written\n'})
        folder = tempfile.mkdtemp(prefix='causeway-rootfs-')
        self.addCleanup(shutil.rmtree, folder)
        out = io.BytesIO()
        oci.write_layer(out, tree)
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            tar.extractall(folder, filter='fully_trusted') if hasattr(tarfile, 'fully_trusted_filter') else tar.extractall(folder)
        done = subprocess.run(['unshare', '--map-root-user', '--root', folder, '/bin/sh', '-c', 'cat /etc/note'], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, 'written\n'), done.stderr)

    def test_what_is_missing_is_named_with_the_way_to_get_it(self):
        with self.assertRaisesRegex(rootfs.Missing, 'no-such-program is not on this machine: ./dev peers images installs it'):
            rootfs.tree_of(['no-such-program'], {})


class Recipes(unittest.TestCase):
    def test_no_name_is_given_twice_and_every_layer_is_made(self):
        names = [name for image in recipes.IMAGES for name in image.names]
        self.assertEqual(len(names), len(set(names)))
        layers = {layer for image in recipes.IMAGES for layer in image.layers}
        self.assertEqual(layers - recipes.PEERS.keys(), {'tools', 'pause', 'porter'})


if __name__ == '__main__':
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    bad = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - bad} passed, {bad} failed')
    sys.exit(1 if bad else 0)
