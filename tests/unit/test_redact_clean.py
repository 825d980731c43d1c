"""What is no secret stays: the report names causes, and a cause is often the name of a secret."""

import base64
import random
import uuid
from collections.abc import Callable

import pytest

from runner.redact import Redactor

# Lines that talk of secrets and hold none. Each must come out as it went in.
TALK = r"""
secret "db-creds" not found
Error: secret "db-creds" not found
MountVolume.SetUp failed for volume "creds" : secret "db-creds" not found
MountVolume.SetUp failed for volume "tls" : references non-existent secret key: tls.crt
Error: couldn't find key password in Secret default/db-creds
Error: couldn't find key DB_PASSWORD in ConfigMap default/app-config
KeyError: 'DB_PASSWORD'
DB_PASSWORD is not set
DB_PASSWORD not set
environment variable DB_PASSWORD: not set
error: DB_PASSWORD: required
Missing required env: DB_PASSWORD, API_TOKEN
panic: required key DB_PASSWORD missing value
bash: DB_PASSWORD: unbound variable
Error: Missing required environment variable "API_KEY"
pydantic_core.ValidationError: 1 validation error for Settings\npassword\n  Field required
token expired
Token has expired
token: expired
token is expired
invalid token
jwt expired
password not set
password: required
password is incorrect
Access denied for user 'app'@'10.0.0.7' (using password: YES)
FATAL:  password authentication failed for user "app"
WRONGPASS invalid username-password pair or user is disabled.
NOAUTH Authentication required.
ERR AUTH <password> called without any password configured for the default user
invalid password: must contain at least 8 characters
secrets "db-creds" is forbidden: User "system:serviceaccount:default:app" cannot get resource "secrets"
Failed to pull image "registry.example.com/app:1": failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden
pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed
status installed passwd:amd64 1:4.13+dfsg1-1
            gmsaCredentialSpec: spec9Value
Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.
Error from server (Forbidden): secrets is forbidden
x509: certificate signed by unknown authority
I1123 04:36:47.123456    1 serving.go:380] Generated self-signed cert in-memory
E1123 04:36:47.123456 1 reflector.go:147] object-"default"/"db-creds": Failed to watch *v1.Secret: secrets "db-creds" is forbidden
I1123 kubelet "Caches populated" type="*v1.Secret" reflector="object-\"default\"/\"db-creds\""
"MountVolume.SetUp succeeded for volume" secret="default/db-creds" pod="default/app-6f9c"
level=info msg="secret updated" secret=db-creds-v2 namespace=default
level=info msg="reconciled" secret=default/db-creds-2 generation=3
  secretName: db-creds
  secretName: default-token-x7k2p
    Type:        Secret (a volume populated by a Secret)
    SecretName:  db-creds
    TokenExpirationSeconds:  3607
      DB_PASSWORD:  <set to the key 'password' in secret 'db-creds'>  Optional: false
      DB_PASSWORD_FILE:  /run/secrets/db/password
      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-x7k2p (ro)
Mountable secrets:   db-creds
Tokens:              default-token-x7k2p
Image pull secrets:  <none>
Normal  Pulled  pod/token-refresher-5d4  Container image "quay.io/token-service:v1.2.3" already present
token-service:1.2 secret-manager:v1.2.3-abc
  secretKeyRef:
    name: db-creds
    key: password
- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      key: password\n      name: db-creds
{"name":"DB_PASSWORD","valueFrom":{"secretKeyRef":{"name":"db-creds","key":"password"}}}
{"name":"TOKEN_URL","value":"https://auth.example.com/oauth/token"}
{"name":"DB_PASSWORD_FILE","value":"/run/secrets/db/password"}
password: ${DB_PASSWORD}
password: "{{ .Values.db.password }}"
password: $(DB_PASSWORD)
password=%s user=%s
DB_PASSWORD=
DB_PASSWORD=""
DB_PASSWORD=<redacted>
DB_PASSWORD=********
password: xxxxxxxx
password=None token=null secret=undefined
PWD=/app
OLDPWD=/root
GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568
DB_PASSWORD_FILE=/run/secrets/db_password
GOOGLE_APPLICATION_CREDENTIALS=/var/secrets/google/key.json
AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token
TOKEN_URL=https://auth.example.com/token
SECRET_NAME=db-creds
SSH_AUTH_SOCK=/tmp/ssh-abc/agent.1
KUBERNETES_SERVICE_HOST=10.96.0.1
prompt_tokens=512 completion_tokens=77 total_tokens=589
{"usage":{"prompt_tokens":512,"completion_tokens":77,"max_tokens":4096}}
tokens: 1234 (12.3 tok/s)
SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON
SyntaxError: Unexpected token } in JSON at position 12
Unexpected token: punc (;) at line 3
  File "/app/auth.py", line 3, in login
    token = request.headers.get("x-token")
    password = os.environ["DB_PASSWORD"]
    password=settings.db_password, token=get_token()
    self.password = password
TypeError: connect() got an unexpected keyword argument 'password'
    at com.example.auth.TokenFilter.doFilter(TokenFilter.java:42)
java.lang.IllegalArgumentException: password must not be null
org.postgresql.util.PSQLException: The server requested password-based authentication, but no password was provided.
Authorization: required
"apiVersion":"rbac.authorization.k8s.io/v1"
apiGroup: rbac.authorization.k8s.io
panic: signing key /keys/jwt.key: error:0480006C:PEM routines::no start line
--authorization-mode=Node,RBAC --service-account-key-file=/etc/kubernetes/pki/sa.pub --token-ttl 24h
--tls-private-key-file=/x/tls.key --password-file /run/secrets/p --secret-name db-creds
kubectl create secret generic db-creds --from-literal=username=app
http://host:8080/path@x
https://registry.example.com:5000/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
postgres://db:5432/app
connecting to redis://cache:6379/0 and amqp://mq:5672
git@github.com:example/app.git
ssh://git@github.com/example/app.git
mailto:someone@example.com
disk-pressure task-runner-abcdefghijklmnopqrstuvwx sk-learn-pipeline-step
mkdir -p /data/mysql
mysql -h db -P 3306 -u root -e 'select 1'
curl -fsS http://api:8080/healthz
redis-cli -h cache ping
cache key: user:1234:profile
primary key: id, foreign key: orders_user_id_fkey_2
public key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEexampleexampleexampleexample app
ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDexample app@host
-----BEGIN CERTIFICATE-----
MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ
-----END CERTIFICATE-----
client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSURkekNDQWwrZ0F3SUJBZ0lF
Cookies are disabled
bearer token authentication is enabled
Basic authentication required
www-authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io"
{"alg":"RS256","kid":"main","typ":"JWT"}
/etc/shadow: permission denied
csrf token mismatch
next page token: 3
continue token too old
etcdserver: range key: /registry/secrets/default/db-creds
The AWS Access Key Id you provided does not exist in our records.
SignatureDoesNotMatch: check your AWS Secret Access Key and signing method.
InvalidClientTokenId: The security token included in the request is invalid
""".strip("\n").split("\n")  # fmt: skip

# Ordinary lines: {h} hex of 64, {g} of 40, {s} of 12, {n} a number, {w} a word, {u} a UUID,
# {b} base64 of random bytes, {t} a time.
ORDINARY = r"""
{t} INFO  [main] c.e.orders.Application - Started Application in {n} seconds
{t} DEBUG request id={u} method=GET path=/api/v1/orders/{n} status=200 duration={n}ms
{"ts":"{t}","level":"info","msg":"order placed","order":"{u}","items":{n},"trace":"{h}"}
10.0.{n}.7 - - [23/Nov/2025:04:36:47 +0000] "GET /static/app.{s}.js HTTP/1.1" 200 {n} "-" "Mozilla/5.0 (X11)"
I1123 04:36:47.{n}    1 controller.go:{n}] "Syncing" pod="default/{w}-{s}" err=null
W1123 04:36:47.{n}    1 reflector.go:561] watch of *v1.Pod ended with: too old resource version: {n} ({n})
{t} stdout F Pulling image "registry.example.com/team/{w}@sha256:{h}"
Successfully pulled image "{w}:{n}" in {n}ms. Image size: {n} bytes.
Normal   Scheduled  {n}s  default-scheduler  Successfully assigned default/{w}-{s} to node-{n}
Warning  BackOff    {n}s (x{n} over 5m)  kubelet  Back-off restarting failed container app in pod {w}-{s}_default({u})
Warning  Unhealthy  {n}s  kubelet  Readiness probe failed: Get "http://10.244.0.{n}:8080/ready": dial tcp: connect: connection refused
Container ID:  containerd://{h}
Image ID:      docker.io/library/{w}@sha256:{h}
HEAD is now at {g} fix the {w}
commit {g} (HEAD -> main, origin/main)
    at com.example.orders.OrderService.place(OrderService.java:{n})
  File "/usr/lib/python3.11/site-packages/{w}/client.py", line {n}, in connect
goroutine {n} [running]: main.(*Server).handle(0xc000{s}, {0x7f{s}, 0x{s}})
	/go/src/{w}/main.go:{n} +0x{s}
thread 'main' panicked at src/{w}.rs:{n}:5: called `Option::unwrap()` on a `None` value
{w}: {n}: syntax error near unexpected word
MEMORY {n} Mi / {n} Mi, CPU {n}m, restarts {n}
tcp   LISTEN 0      4096      0.0.0.0:{n}       0.0.0.0:*    users:(("{w}",pid={n},fd={n}))
{n} root     20   0  {n}  {n}  {n} S   0.0   0.1   0:00.{n} /bin/{w} --config /etc/{w}/{w}.yaml --v={n}
nameserver 10.96.0.10
search default.svc.cluster.local svc.cluster.local cluster.local
;; ANSWER SECTION: {w}.default.svc.cluster.local. 30 IN A 10.96.{n}.{n}
2025/11/23 04:36:47 [error] {n}#{n}: *{n} connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.{n}, request: "GET /{w} HTTP/1.1"
HOSTNAME={w}-{s}
KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
PYTHON_SHA256={h}
checksum/config: {h}
resourceVersion: "{n}"
uid: {u}
x-request-id: {u}
x-b3-traceid: {h}
traceparent: 00-{h}-{s}-01
etag: W/"{s}"
content-md5: {b}
integrity sha512-{b}{b}==
payload={b}{b}
data: {b}
h1:{b}=
layer {s}: Pull complete
Digest: sha256:{h}
/dev/sda1  {n}G  {n}G  {n}G  {n}% /var/lib/kubelet/pods/{u}/volumes/kubernetes.io~projected/kube-api-access-x
ERROR [{w}] java.sql.SQLException: Connection is not available, request timed out after {n}ms
level=warn ts={t} caller=main.go:{n} msg="slow query" rows={n} took={n}ms
kernel: [{n}.{n}] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-{h}.scope
user {w} logged in from 10.0.0.{n} session {n}
job {u} moved {n} of {n} items, key range {s}..{s}
GET https://{w}.example.com/v1/keys/{n}?page={n}&sort=asc 200 {n}b
npm http fetch GET 200 https://registry.example.com/{w}/-/{w}-1.0.{n}.tgz {n}ms
added {n} packages, and audited {n} packages in {n}s
+ kubectl get pods -n default -o wide --no-headers
mysql-{n} | ready for connections. Version: '8.0.{n}'  socket: '/var/run/mysqld/mysqld.sock'  port: 3306
redis | 1:M 23 Nov 2025 04:36:47.{n} * Ready to accept connections tcp
kafka | [{t}] INFO [GroupCoordinator {n}]: Member {w}-{u} in group {w} has left
{w}@{s} <{w}@example.com> wrote {n} lines
""".strip("\n").split("\n")  # fmt: skip


def _fill(template: str, rng: random.Random) -> str:
    def hexes(length: int) -> str:
        return "".join(rng.choices("0123456789abcdef", k=length))

    makers: dict[str, Callable[[], str]] = {
        "{h}": lambda: hexes(64),
        "{g}": lambda: hexes(40),
        "{s}": lambda: hexes(12),
        "{n}": lambda: str(rng.randint(0, 9999)),
        "{w}": lambda: rng.choice(("orders", "ledger", "catalog", "payments", "gateway", "auth")),
        "{u}": lambda: str(uuid.UUID(int=rng.getrandbits(128))),
        "{b}": lambda: base64.b64encode(rng.randbytes(33)).decode(),
        "{t}": lambda: f"2025-11-23T04:{rng.randint(10, 59)}:{rng.randint(10, 59)}.{hexes(3)}Z",
    }
    for mark, make in makers.items():
        while mark in template:
            template = template.replace(mark, make(), 1)
    return template


@pytest.mark.parametrize("line", TALK)
def test_talk_of_secrets_stays(line: str) -> None:
    text = line.replace(r"\n", "\n")

    assert Redactor(b"k").redact_text(text) == (text, ())


def test_all_talk_together_stays() -> None:
    """Rules that look over line ends must not join lines that have nothing to do with another."""
    text = "\n".join(TALK)

    clean, _ = Redactor(b"k").redact_text(text)

    assert clean.split("\n") == text.split("\n")


def test_ordinary_lines_stay() -> None:
    """At most one in two hundred lines of a log without secrets may change; of these none."""
    rng = random.Random(11)
    lines = [_fill(rng.choice(ORDINARY), rng) for _ in range(20_000)]

    clean, _ = Redactor(b"k").redact_text("\n".join(lines))

    changed = [was for was, now in zip(lines, clean.split("\n"), strict=True) if was != now]
    assert changed == []
