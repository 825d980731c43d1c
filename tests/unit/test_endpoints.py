"""Endpoints named by a container's own configuration, never with credentials."""

from typing import Any

import msgspec
import pytest

from runner.injection import endpoints_of
from runner.injection.endpoints import unexpanded
from runner.model.pod import Container


def container(env: dict[str, str] | None = None, **fields: Any) -> Container:
    variables = [{"name": n, "value": v} for n, v in (env or {}).items()]
    return msgspec.convert({"name": "app", "env": variables, **fields}, Container)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"DATABASE_URL": "postgres://u:p%40ss@db.shop:5432/x?sslmode=off"}, [("db.shop", 5432)]),
        ({"REDIS": "redis://:secret@cache/0"}, [("cache", 6379)]),
        ({"JDBC": "jdbc:postgresql://db-0:5433/x"}, [("db-0", 5433)]),
        ({"BROKERS": "k1:9092,k2:9092"}, [("k1", 9092), ("k2", 9092)]),
        ({"MONGO": "mongodb://a:27017,b:27018/db"}, [("a", 27017), ("b", 27018)]),
        ({"DB_HOST": "db", "DB_PORT": "5432"}, [("db", 5432)]),
        ({"SMTP_SERVER": "mail.example.com"}, [("mail.example.com", 0)]),
        ({"HOST": "db", "URL": "http://$(HOST):8080/x"}, [("db", 0), ("db", 8080)]),
        ({"PEER": "10.0.0.7:7000"}, [("10.0.0.7", 7000)]),
        ({"API": "https://api.example.com"}, [("api.example.com", 443)]),
        ({"LISTEN": "0.0.0.0:8080", "BIND": ":8080", "LOCAL_HOST": "localhost"}, []),
        ({"IMAGE": "redis:7", "TIME": "10:30", "VERSION": "1.2.3", "LEVEL": "info"}, []),
        ({"BAD": "http://[::1]:80/ http://:80 http://a:99999"}, []),
    ],
)
def test_env(env: dict[str, str], expected: list[tuple[str, int]]) -> None:
    assert [(e.host, e.port) for e in endpoints_of(container(env))] == expected


def test_command_and_args_say_where_it_was_found() -> None:
    given = container(
        command=["sh", "-c", "curl -u me:pw http://users:8080/health"],
        args=["--upstream=orders:9000", "$(X)"],
    )
    assert [tuple(e) for e in endpoints_of(given)] == [
        ("command", "users", 8080),
        ("args", "orders", 9000),
    ]


def test_a_place_in_a_program_is_no_host() -> None:
    """`main.go:71` may stand in any script that prints; a URL means what it says."""
    given = container(
        command=["sh", "-c", "echo 'I1126 main.go:71] up'; curl http://site.sh:8080/"]
    )
    assert [(e.host, e.port) for e in endpoints_of(given)] == [("site.sh", 8080)]


def test_no_more_than_forty() -> None:
    assert len(endpoints_of(container({f"H{i}_HOST": f"host{i}" for i in range(90)}))) == 40


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("until nc -z -w 2 mq.messaging.svc 5672; do sleep 1; done", [("mq.messaging.svc", 5672)]),
        ("nc -vz db 5432 && echo ok", [("db", 5432)]),
        ("psql -h db -p 5433 -U app -c 'select 1'", [("db", 5433)]),
        ('pg_isready -U app --host="db"; sleep 1', [("db", 5432)]),
        ("redis-cli -h cache ping", [("cache", 6379)]),
        ("nc -l -p 8080", []),
        ("echo psql; sort -h file", []),
    ],
)
def test_where_a_script_does_not_write_host_and_port_as_one(
    script: str, expected: list[tuple[str, int]]
) -> None:
    found = endpoints_of(container(command=["sh", "-c", script]))
    assert [(e.host, e.port) for e in found] == expected


def test_what_stands_before_an_at_sign_is_no_host() -> None:
    assert endpoints_of(container({"DB_URL": "postgres://app@$(DB_HOST):5432/app"})) == ()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"URL": "http://$(HOST)/", "HOST": "db"}, {"URL": ("HOST",)}),
        ({"HOST": "db", "URL": "http://$(HOST)/"}, {}),
        ({"URL": "$$(HOST)"}, {}),
        ({"URL": "http://$(CACHE_SERVICE_HOST):$(CACHE_PORT_6379_TCP_PORT)"}, {}),
    ],
)
def test_references_to_what_comes_later(
    env: dict[str, str], expected: dict[str, tuple[str, ...]]
) -> None:
    assert unexpanded(container(env)) == expected


def test_what_a_config_map_may_add_is_not_called_missing() -> None:
    assert (
        unexpanded(container({"URL": "$(HOST)"}, envFrom=[{"configMapRef": {"name": "c"}}])) == {}
    )
