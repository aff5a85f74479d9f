"""curl: what people paste, from documentation and from browsers."""

from __future__ import annotations

import pytest

from tests.convert.conftest import Converter


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("curl example.com", "http.get('/')"),
        ("curl 'https://h.example/a?x=1&y'", "http.get('/a?y', params={'x': '1'})"),
        ("curl 'https://h.example/a' --data-raw 'a=1&b=%26'", "http.post('/a', data={'a': '1', 'b': '&'})"),
        ("curl https://h.example/a -d a=1 -d b=2", "http.post('/a', data={'a': '1', 'b': '2'})"),
        (
            "curl -G https://h.example/a -d q=x --data-urlencode 'r=ä b'",
            "http.get('/a', params={'q': 'x', 'r': 'ä b'})",
        ),
        ("curl -XDELETE https://h.example/a/17", "http.delete('/a/17', name='/a/{a_id}')"),
        ("curl -I https://h.example/a", "http.head('/a')"),
        ("curl -X PURGE https://h.example/a", "http.request('PURGE', '/a')"),
        (
            """curl --json '{"a": [1, null, true]}' https://h.example/a""",
            "http.post('/a', headers={'Accept': 'application/json'}, json={'a': [1, None, True]})",
        ),
        (
            r"""curl https://h.example/a -H 'Content-Type: text/json' --data-binary $'{"a":"it\'s \u0021\\n"}'""",
            "http.post('/a', headers={'Content-Type': 'text/json'}, json={'a': \"it's !\\n\"})",
        ),
        (
            "curl https://h.example/a -F 'title=x y' -F 'f=@/nowhere/cat.png;type=image/png;filename=c.png'",
            "http.post('/a', data={'title': 'x y'}, files=[('f', ('c.png', CAT_PNG, 'image/png'))])",
        ),
        (
            "curl -T /nowhere/x.bin https://h.example/a -H 'content-type: a/b'",
            "http.put('/a', headers={'Content-Type': 'a/b'}, content=X_BIN)",
        ),
        ("curl -u ada:secret1 https://h.example/a", "http.get('/a', auth=(API_USER, API_PASSWORD))"),
        (
            "curl https://h.example/a -b 'sid=0123456789ab; lang=en' -A me -e http://r/",
            "http.get('/a', headers={'User-Agent': 'me', 'Referer': 'http://r/'}, cookies={'sid': SID, 'lang': 'en'})",
        ),
        (
            (
                'curl -sSLk --compressed -o /dev/null -w "%{http_code}" --max-time 5 "https://h.example/a" \\\n  '
                '-H "Authorization: Bearer $MY_TOKEN" | jq .'
            ),
            "http.get('/a', headers={'Authorization': f'Bearer {MY_TOKEN}'})",
        ),
        (
            (
                "curl 'https://h.example/a' -H 'authority: h.example' -H 'sec-ch-ua: \"x\"' -H 'user-agent: Mozilla' "
                "-H 'origin: https://h.example' -H 'x-requested-with: XMLHttpRequest' --compressed"
            ),
            "http.get('/a', headers={'authority': 'h.example', 'x-requested-with': 'XMLHttpRequest'})",
        ),
    ],
)
def test_one_command(convert: Converter, command: str, call: str) -> None:
    """In a file, as it would be pasted."""
    made = convert(command, "command.txt")
    assert made.code == 0, made.said
    assert made.calls() == [call]
    convert.load()


def test_on_the_command_line(convert: Converter) -> None:
    """The base URL was named, so it stands in the script; the secret does not."""
    made = convert.curl(
        "https://api.shop.example/v1/orders", "-H", "X-Api-Key: abcdef0123456789", "-d", "@nowhere.json"
    )
    assert made.code == 0, made.said
    assert '"base_url": "https://api.shop.example",' in made.script
    assert made.calls() == [
        (
            "http.post('/v1/orders', headers={'X-Api-Key': API_KEY, 'Content-Type': "
            "'application/x-www-form-urlencoded'}, content=NOWHERE_JSON)"
        )
    ]
    assert "abcdef0123456789" not in made.script + made.said
    assert "API_KEY" in made.said


def test_a_file_beside_the_script_is_read_by_it(convert: Converter) -> None:
    """It is named, and not copied."""
    (convert.folder / "body.json").write_text("{}")
    made = convert.curl("http://h.example/a", "-d", "@body.json")
    assert 'BODY_JSON = data_file("body.json").read_bytes()' in made.script
    convert.load()


def test_several_commands_are_several_steps(convert: Converter) -> None:
    """On lines of their own, behind `&&`, and behind `--next`; another host can be set."""
    text = "# first\ncurl http://h.example/a &&\ncurl http://h.example/b\ncurl http://i.example/c --next -d x=1 http://h.example/d"
    made = convert(text, "commands.sh")
    assert made.calls() == [
        "http.get('/a')",
        "http.get('/b')",
        "http.get(f'{I_URL}/c')",
        "http.post('/d', data={'x': '1'})",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--foo", "http://h/"], "--foo is no option of curl's that we know"),
        (["--compresed", "http://h/"], "did you mean --compressed?"),
        (["-?", "http://h/"], "-? is no option"),
        (["http://h/", "-H"], "-H has no value"),
        (["-d", "x"], "there is no URL"),
        (["ftp://h/"], "only http and https"),
        (["http://[::1/"], "is no URL"),
        (["http://h/", "-F", "x"], "NAME=VALUE"),
        (["http://h/", "-X", "a b"], "is no method"),
    ],
)
def test_mistakes(convert: Converter, arguments: list[str], said: str) -> None:
    """They are named."""
    made = convert.curl(*arguments)
    assert made.code == 2
    assert said in made.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("curl 'http://h/", "command.txt:1: a ' is not closed"),
        ('curl http://h/ \\\n -H "x', 'command.txt:2: a " is not closed'),
        ("curl http://h/?a=1&token=x", "command.txt:1: a URL with & in it needs quotes"),
        ("curl http://h/$(id)", "are not run"),
        ("curl http://h/\nrm -rf x", "'rm' is no curl command"),
        ('curl ^"http://h/^" ^\n  -H ^"a: b^"', "copy it as cURL (bash)"),
    ],
)
def test_mistakes_in_files(convert: Converter, text: str, said: str) -> None:
    """With the line."""
    made = convert(text, "command.txt")
    assert made.code == 2
    assert said in made.said


def test_what_is_not_taken_over_is_said(convert: Converter) -> None:
    """Proxies and certificates are the machine's."""
    made = convert.curl("https://h.example/", "--cacert", "x.pem", "-k", "-x", "proxy:1")
    for said in ("--cacert", "--proxy", "--insecure-skip-tls-verify"):
        assert said in made.said
