"""The cluster's certificate authority: one, which signs servers and users. Made by openssl, once for each name."""
import base64
import secrets
import subprocess

from .plan import Refused, host

DAYS = '3650'


def openssl(*words, text=None):
    done = subprocess.run(['openssl', *map(str, words)], input=text, stdin=None if text else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Refused(f'openssl {words[0]} failed: {done.stderr.strip()}')


class Authority:
    def __init__(self, folder):
        self.folder, self.certificate, self.key = folder, folder / 'ca.crt', folder / 'ca.key'

    def create(self):
        """The authority and the key that signs the tokens of service accounts."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.certificate.exists():
            return
        openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', self.folder / 'account.key')
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', DAYS,
                '-subj', '/CN=causeway-test-cluster', '-keyout', self.key, '-out', self.folder / 'ca.new',
                '-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature')
        (self.folder / 'ca.new').rename(self.certificate)  # last: with it the authority is there

    def issue(self, file, user, groups=(), names=(), addresses=()):
        """FILE.crt and FILE.key for a user (its groups are organisations) or a server; returns both paths."""
        certificate, key = self.folder / f'{file}.crt', self.folder / f'{file}.key'
        if certificate.exists():
            return certificate, key
        subject = ''.join(f'/O={group}' for group in groups) + f'/CN={user}'
        extensions = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth,serverAuth']
        alternatives = [f'DNS:{name}' for name in names] + [f'IP:{address}' for address in addresses]
        if alternatives:
            extensions.append('subjectAltName=' + ','.join(alternatives))
        request, extra = self.folder / f'{file}.csr', self.folder / f'{file}.ext'
        extra.write_text('\n'.join(extensions) + '\n')
        openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', subject,
                '-keyout', key, '-out', request)
        openssl('x509', '-req', '-in', request, '-CA', self.certificate, '-CAkey', self.key, '-days', DAYS,
                '-set_serial', '0x' + secrets.token_hex(8), '-extfile', extra, '-out', certificate)
        request.unlink()
        extra.unlink()
        return certificate, key

    def kubeconfig(self, file, server, user, groups=()):
        """FILE.kubeconfig of a user; returns its path."""
        certificate, key = self.issue(file, user, groups)
        path = self.folder / f'{file}.kubeconfig'

        def data(source):
            return base64.b64encode(source.read_bytes()).decode()
        path.write_text(f'''apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: https://{host(server)}:6443
    certificate-authority-data: {data(self.certificate)}
users:
- name: {user}
  user:
    client-certificate-data: {data(certificate)}
    client-key-data: {data(key)}
contexts:
- name: default
  context: {{cluster: cluster, user: "{user}"}}
current-context: default
''')
        path.chmod(0o600)
        return path
