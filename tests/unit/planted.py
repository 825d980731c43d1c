"""The corpus of planted secrets: kinds, and the forms in which a pod may print them.

None of them is real: all are drawn at random, and their telling beginnings are written in two
parts, so that no scanner takes this file for a leak.
"""

import base64
import json
import random
import string
from collections.abc import Callable

_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_HEX = "0123456789abcdef"
BASE62 = string.ascii_letters + string.digits
_URLSAFE = BASE62 + "-_"

Draw = Callable[[random.Random], str]


def drawn(rng: random.Random, alphabet: str, length: int) -> str:
    """Ends in a digit, as what is drawn from letters alone may be a word."""
    return "".join(rng.choices(alphabet, k=length - 1)) + str(rng.randint(0, 9))


def _of(prefix: str, alphabet: str, length: int, suffix: str = "") -> Draw:
    return lambda rng: prefix + drawn(rng, alphabet, length) + suffix


def _jwt(rng: random.Random) -> str:
    def part(value: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": "kubernetes/serviceaccount", "sub": drawn(rng, _LOWER, 20)}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{drawn(rng, _URLSAFE, 86)}"


# Secrets that tell by their looks what they are: found in any text at all.
SHAPED: dict[str, Draw] = {
    "aws access key": _of("AK" + "IA", _UPPER, 16),
    "aws session key": _of("AS" + "IA", _UPPER, 16),
    "github classic": _of("gh" + "p_", BASE62, 36),
    "github oauth": _of("gh" + "o_", BASE62, 36),
    "github app": _of("gh" + "s_", BASE62, 36),
    "github fine-grained": _of("github_" + "pat_", BASE62, 82),
    "gitlab personal": _of("gl" + "pat-", _URLSAFE, 20),
    "gitlab runner": _of("gl" + "rt-", _URLSAFE, 20),
    "gitlab deploy": _of("gl" + "dt-", _URLSAFE, 20),
    "slack bot": lambda rng: "xo" + f"xb-{rng.randint(10**10, 10**11)}-{drawn(rng, BASE62, 24)}",
    "slack user": lambda rng: "xo" + f"xp-{rng.randint(10**10, 10**11)}-{drawn(rng, _HEX, 32)}",
    "slack app": lambda rng: "xa" + f"pp-1-A{drawn(rng, _UPPER, 10)}-{drawn(rng, _HEX, 40)}",
    "stripe live": _of("sk_" + "live_", BASE62, 24),
    "stripe test": _of("sk_" + "test_", BASE62, 24),
    "stripe restricted": _of("rk_" + "live_", BASE62, 24),
    "stripe webhook": _of("wh" + "sec_", BASE62, 32),
    "google api": _of("AI" + "za", _URLSAFE, 35),
    "google oauth": _of("ya" + "29.", _URLSAFE, 60),
    "google client": _of("GOC" + "SPX-", _URLSAFE, 28),
    "jwt": _jwt,
    "npm": _of("np" + "m_", BASE62, 36),
    "pypi": _of("py" + "pi-AgEIcHlwaS5vcmc", _URLSAFE, 60),
    "docker hub": _of("dckr_" + "pat_", _URLSAFE, 27),
    "vault service": _of("hv" + "s.", _URLSAFE, 90),
    "vault batch": _of("hv" + "b.", _URLSAFE, 120),
    "terraform": lambda rng: drawn(rng, BASE62, 14) + ".atlas" + "v1." + drawn(rng, _URLSAFE, 64),
    "anthropic": _of("sk-" + "ant-api03-", _URLSAFE, 90),
    "openai": _of("sk-" + "proj-", _URLSAFE, 60),
    "openai old": _of("sk" + "-", BASE62, 48),
    "hugging face": _of("h" + "f_", BASE62, 34),
    "groq": _of("gs" + "k_", BASE62, 52),
    "sendgrid": lambda rng: "S" + f"G.{drawn(rng, _URLSAFE, 22)}.{drawn(rng, _URLSAFE, 43)}",
    "twilio": _of("S" + "K", _HEX, 32),
    "mailgun": _of("ke" + "y-", _HEX, 32),
    "mailchimp": _of("", _HEX, 32, "-u" + "s14"),
    "databricks": _of("da" + "pi", _HEX, 32),
    "digitalocean": _of("do" + "p_v1_", _HEX, 64),
    "heroku": _of("HR" + "KU-AA", _URLSAFE, 58),
    "telegram": lambda rng: f"{rng.randint(10**9, 9 * 10**9)}:A" + "A" + drawn(rng, _URLSAFE, 33),
    "discord": lambda rng: (
        rng.choice("MNO")
        + f"{drawn(rng, BASE62, 25)}.{drawn(rng, BASE62, 6)}.{drawn(rng, _URLSAFE, 38)}"
    ),
    "newrelic": _of("NR" + "AK-", _UPPER, 27),
    "newrelic license": lambda rng: drawn(rng, _HEX, 36) + "NR" + "AL",
    "sentry": _of("snt" + "ryu_", _HEX, 64),
    "grafana": _of("gl" + "sa_", BASE62, 32),
    "artifactory": _of("AK" + "Cp", BASE62, 69),
    "jfrog reference": _of("cmVm" + "dGtu", BASE62, 56),
    "atlassian": _of("ATA" + "TT3x", _URLSAFE, 180),
    "bitbucket": _of("AT" + "BB", BASE62, 32),
    "shopify": _of("shp" + "at_", _HEX, 32),
    "planetscale": _of("pscale_" + "tkn_", _URLSAFE, 43),
    "doppler": _of("dp" + ".pt.", BASE62, 43),
    "pulumi": _of("pu" + "l-", _HEX, 40),
    "supabase": _of("sb" + "p_", _HEX, 40),
    "linear": _of("lin_" + "api_", BASE62, 40),
    "figma": _of("fig" + "d_", _URLSAFE, 40),
    "postman": lambda rng: "PM" + f"AK-{drawn(rng, _HEX, 24)}-{drawn(rng, _HEX, 34)}",
    "rubygems": _of("ruby" + "gems_", _HEX, 48),
    "crates.io": _of("ci" + "o", BASE62, 32),
    "sonarqube": _of("sq" + "p_", _HEX, 40),
    "alibaba": _of("LT" + "AI", BASE62, 20),
    "azure client": lambda rng: drawn(rng, BASE62, 3) + "8Q" + "~" + drawn(rng, _URLSAFE, 34),
    "azure devops": lambda rng: drawn(rng, BASE62, 76) + "AZ" + "DO" + drawn(rng, BASE62, 4),
    "age": _of("AGE-SECRET-" + "KEY-1", _UPPER, 58),
    "bcrypt": lambda rng: "$2" + f"y$10${drawn(rng, BASE62 + './', 53)}",
    "sha512 crypt": lambda rng: "$" + f"6${drawn(rng, BASE62, 16)}${drawn(rng, BASE62 + './', 86)}",
    "apr1": lambda rng: "$ap" + f"r1${drawn(rng, BASE62, 8)}${drawn(rng, BASE62 + './', 22)}",
    "argon2": lambda rng: "$argon" + f"2id$v=19$m=65536,t=3,p=4${drawn(rng, BASE62, 22)}${drawn(rng, BASE62, 43)}",
    "django": lambda rng: "pbk" + f"df2_sha256$260000${drawn(rng, BASE62, 22)}${drawn(rng, BASE62, 43)}=",
    "scram": lambda rng: "SCRAM-" + f"SHA-256$4096:{drawn(rng, BASE62, 22)}==${drawn(rng, BASE62, 43)}=",
    "mysql hash": _of("*", "0123456789ABCDEF", 40),
    "ldap hash": _of("{SS" + "HA}", BASE62 + "+/", 32),
}  # fmt: skip

# Texts that say nothing of secrets; {0} is one.
ANYWHERE = (
    "{0}",
    "2025-11-23T04:36:47.123Z DEBUG upstream said {0} and hung up",
    "Error: unexpected reply '{0}' from 10.0.0.7:443",
    'level=warn msg="retrying" value="{0}" attempt=3',
    '{{"ts":1763872607,"args":["serve","{0}"],"n":3}}',
    '{{"log":"{{\\"value\\":\\"{0}\\"}}\\n","stream":"stdout"}}',
    "SETTING={0}",
    "    setting: {0}  # for the job",
    "/bin/app\0--with\0{0}\0--port\08080\0",
    "https://api.example.com/v1/things?x=1&y={0}&z=2",
    "Traceback (most recent call last):\n  raise Refused({0!r})\n",
    "app panicked: <{0}>",
    "\x1b[31m{0}\x1b[0m",
    "\xff\x00{0}\x00\xfe",
)

_WORD = BASE62 + "!#%^*+=-_./~"


def password(rng: random.Random) -> str:
    return rng.choice(string.ascii_letters) + drawn(rng, _WORD, rng.randint(8, 24))


# Forms in which a secret stands whatever it looks like; {0} is one.
NAMED: dict[str, str] = {
    "env": "PATH=/bin\nDB_PASSWORD={0}\nHOME=/root\n",
    "env token": "API_TOKEN={0}\n",
    "env key": "export STRIPE_API_KEY={0}\n",
    "env quoted": 'export JWT_SECRET="{0}"\n',
    "env aws": "AWS_SECRET_ACCESS_KEY={0}\n",
    "env pass": "SMTP_PASS={0}\n",
    "environ": "HOME=/root\0REDIS_PASSWORD={0}\0LANG=C\0",
    "inline env": "+ PGPASSWORD={0} psql -h db -U app",
    "json": '{{"user":"app","password":"{0}","port":5432}}',
    "json spaced": '  "clientSecret" : "{0}",\n',
    "json in json": '{{"msg":"{{\\"user\\":\\"a\\",\\"apiKey\\":\\"{0}\\"}}"}}',
    "json in json in json": '{{"a":"{{\\\\\\"accessToken\\\\\\":\\\\\\"{0}\\\\\\"}}"}}',
    "python": "{{'user': 'app', 'db_password': '{0}'}}",
    "ruby": '{{:password=>"{0}", :user=>"app"}}',
    "pod env": '{{"name":"DB_PASSWORD","value":"{0}"}}',
    "pod env lines": '  "name": "MYSQL_ROOT_PASSWORD",\n  "value": "{0}"\n',
    "pod env yaml": "  - name: API_TOKEN\n    value: {0}\n",
    "pod env yaml quoted": '  - name: API_TOKEN\n    value: "{0}"\n',
    "pod env struct": "Env:[]EnvVar{{EnvVar{{Name:DB_PASSWORD,Value:{0},ValueFrom:nil,}},}}",
    "pod env struct 2": "[{{Name:DB_PASSWORD Value:{0} ValueFrom:nil}}]",
    "yaml": "database:\n  host: db\n  password: {0}\n  port: 5432\n",
    "yaml quoted": "  secretKey: '{0}'\n",
    "describe": "      DB_PASSWORD:  {0}\n",
    "properties": "spring.datasource.password={0}\n",
    "ini": "password = {0}\n",
    "toml": 'token = "{0}"\n',
    "hcl": '  secret_key = "{0}"\n',
    "xml": "<property><password>{0}</password></property>",
    "argv": "serve --db-password {0} --port 8080",
    "argv equals": "serve --api-key={0} --port 8080",
    "argv cmdline": "serve\0--password\0{0}\0--port\08080\0",
    "argv cmdline equals": "serve\0--auth-token={0}\0",
    "argv json": '["serve","--password","{0}","--x"]',
    "argv yaml": "args:\n- --password\n- {0}\n- --x\n",
    "argv yaml equals": "args:\n  - --token={0}\n",
    "helm set": "helm upgrade app ./app --set image.tag=v1,auth.password={0}",
    "mysql": "mysql -h db -u root -p{0} orders",
    "mysqldump": "mysqldump --user=root --password={0} orders",
    "redis-cli": "redis-cli -h cache -a {0} ping",
    "sshpass": "sshpass -p {0} ssh root@node",
    "docker login": "docker login -u ci -p {0} registry.example.com",
    "curl": "curl -s -u admin:{0} http://api:8080/health",
    "openssl": "openssl rsa -in k.pem -passin pass:{0} -noout",
    "ldapsearch": "ldapsearch -x -D cn=admin -w {0} -b dc=x",
    "log": "connecting host=db user=app password={0} sslmode=disable",
    "log comma": "connect(host=db, password={0}, user=app)",
    "log colon": "generated admin password: {0}",
    "log token": "2025-11-23 DEBUG using token: {0} for the call",
    "log is": "the new password is {0}",
    "query": "GET /cb?access_token={0}&state=1 HTTP/1.1",
    "header key": "X-Api-Key: {0}\r\nAccept: */*\r\n",
    "header private": "> PRIVATE-TOKEN: {0}\n",
    "header go": "map[Accept:[*/*] X-Auth-Token:[{0}]]",
    "bearer": "Authorization: Bearer {0}\r\n",
    "bearer curl": "curl -H 'Authorization: Bearer {0}' https://api",
    "bearer json": '{{"headers":{{"authorization":"Bearer {0}"}}}}',
    "bearer go": "map[Authorization:[Bearer {0}]]",
    "cookie": "Cookie: theme=dark; session={0}\r\n",
    "set-cookie": "Set-Cookie: sid={0}; Path=/; HttpOnly\r\n",
    "session cookie": "request cookie JSESSIONID={0} rejected",
    "sql": "ALTER ROLE app WITH PASSWORD '{0}';",
    "sql mysql": "CREATE USER 'a'@'%' IDENTIFIED BY '{0}';",
    "redis conf": "requirepass {0}\n",
    "netrc": "machine git.example.com login ci password {0}\n",
    "npmrc": "//registry.example.com/:_authToken={0}\n",
    "kubeconfig token": "users:\n- name: a\n  user:\n    token: {0}\n",
    "bootstrap": "kubeadm join 10.0.0.1:6443 --token {0} --discovery-token-ca-cert-hash sha256:ab",
    "ado": "Server=db;User ID=sa;Password={0};Initial Catalog=orders",
    "odbc": "DRIVER=x;UID=sa;PWD={0};DATABASE=orders",
    "libpq": "host=db user=app password='{0}' dbname=orders",
    "error": 'Error: invalid value "{0}" for flag: x, config: {{password: {0}}}',
}  # fmt: skip

# The password has no / @ or : in it, which a URL would spell with percent signs.
URLS: dict[str, str] = {
    "postgres": "postgres://app:{0}@db.prod:5432/orders?sslmode=disable",
    "mysql": "mysql+pymysql://root:{0}@db/orders",
    "mongodb": "mongodb+srv://app:{0}@c0.example.net/?retryWrites=true",
    "redis": "redis://:{0}@cache:6379/0",
    "amqp": "amqp://guest:{0}@mq:5672//",
    "https": "fatal: unable to access 'https://ci:{0}@git.example.com/x.git/'",
    "ftp": "ftp://u:{0}@files",
    "jdbc": "jdbc:postgresql://db/x?user=app&password={0}",
    "oracle": "jdbc:oracle:thin:scott/{0}@//db:1521/x",
    "go mysql": "root:{0}@tcp(mysql:3306)/orders?parseTime=true",
    "json": '{{"url":"postgres:\\/\\/app:{0}@db\\/x"}}',
    "error": 'dial error (parse "postgres://app:{0}@db:54x32/x": invalid port)',
}
