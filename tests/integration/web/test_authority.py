"""A facility's certificate authority, judged by openssl and by a real TLS client."""

import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from agent.cli import spotter
from agent.doctor.check import CheckResult, Severity, StationUnderTest
from agent.doctor.page import check_page, judge_given
from agent.errors import RequestError
from agent.settings import Settings
from agent.web.tls import AuthorityFolder, read_given, self_signed
from tests.factories import NOW_S, instant
from tests.needs import need
from tests.served_page import page_settings, served_page

DAY_S = 86400
OPENSSL = Path("/usr/bin/openssl")


def command(*words: str | Path) -> dict[str, str]:
    done = CliRunner().invoke(
        spotter, ["certificate", *map(str, words), "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0
    told: dict[str, str] = json.loads(done.stdout)
    return told


def verified(authority: Path, leaf: Path, *, name: str, at_s: float | None = NOW_S) -> str:
    how = "-verify_ip" if name[0].isdigit() else "-verify_hostname"
    words = ["-x509_strict", "-purpose", "sslserver", how, name]
    words += ["-no_check_time"] if at_s is None else ["-attime", str(int(at_s))]
    done = subprocess.run(
        [need(OPENSSL, "openssl"), "verify", "-CAfile", authority, *words, leaf],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return "OK" if done.returncode == 0 else done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> AuthorityFolder:
    folder = AuthorityFolder(tmp_path_factory.mktemp("facility") / "authority")
    folder.create("Gym", domains=["gym.example"], now_s=NOW_S)
    return folder


def test_openssl_accepts_what_was_issued_by_its_names_and_in_its_time(
    authority: AuthorityFolder, tmp_path: Path
) -> None:
    names = ["Rack-7.local", "rack-7.gym.example", "192.168.1.20", "rack-7.local."]
    issued = authority.issue(names, tmp_path / "rack-7", days=700, now_s=NOW_S)

    assert authority.key.stat().st_mode & 0o777 == 0o600
    assert issued.key.stat().st_mode & 0o777 == 0o600
    held = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
    alternatives = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(list(alternatives)) == 3
    for name in names[:3]:
        assert verified(authority.certificate, issued.certificate, name=name) == "OK"
    for name in ("rack-8.local", "192.168.1.21"):
        assert "mismatch" in verified(authority.certificate, issued.certificate, name=name)
    after = NOW_S + 701 * DAY_S
    assert "expired" in verified(
        authority.certificate, issued.certificate, name=names[0], at_s=after
    )
    # It ends with its authority at the latest.
    late = NOW_S + 3600 * DAY_S
    last = authority.issue(["rack-7.local"], tmp_path, days=800, now_s=late)
    assert last.ends_at == pytest.approx(NOW_S + 3652 * DAY_S, abs=2 * DAY_S)
    with pytest.raises(RequestError, match="expired on 2036"):
        authority.issue(["rack-7.local"], tmp_path, days=800, now_s=NOW_S + 3700 * DAY_S)


@pytest.mark.parametrize("name", ["bank.example", "8.8.8.8"])
def test_with_a_stolen_key_nobody_signs_for_names_outside(
    authority: AuthorityFolder, tmp_path: Path, name: str
) -> None:
    with pytest.raises(RequestError, match="cannot sign"):
        authority.issue(["rack-7.local", name], tmp_path / "none", days=1, now_s=NOW_S)
    assert not (tmp_path / "none").exists()

    words = f"subjectAltName={'IP' if name[0].isdigit() else 'DNS'}:{name}"
    (tmp_path / "names").write_text(f"basicConstraints=CA:FALSE\n{words}\n")
    key, asked, forged = tmp_path / "key", tmp_path / "asked", tmp_path / "forged.pem"
    openssl("req", "-new", *NEW_KEY, "-keyout", key, "-subj", "/CN=x", "-out", asked)
    with_authority = ("-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial")
    openssl(
        "x509",
        "-req",
        "-in",
        asked,
        *with_authority,
        "-extfile",
        tmp_path / "names",
        "-out",
        forged,
    )
    told = verified(authority.certificate, forged, name=name, at_s=None)
    assert "permitted subtree violation" in told


def test_it_signs_for_no_further_authority(authority: AuthorityFolder) -> None:
    held = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    limits = held.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical and limits.value.path_length == 0


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*words: str | Path) -> None:
    subprocess.run([OPENSSL, *words], capture_output=True, check=True, timeout=30)


def test_a_tablet_that_trusts_the_authority_opens_the_page_and_renewal_keeps_it_so(
    tmp_path: Path,
) -> None:
    facility = tmp_path / "facility"
    command("init", facility, "--name", "Gym")
    names = ("rack-7.local", "127.0.0.1")
    issued = command("issue", *names, "--authority", facility, "--out", tmp_path / "rack-7")
    web = {"tls": "given", "tls_cert": issued["certificate"], "tls_key": issued["key"]}
    tablet = ssl.create_default_context(cafile=facility / "authority.crt")
    tablet.verify_flags |= ssl.VERIFY_X509_STRICT
    with served_page(page_settings(tmp_path, web=web)) as page:
        host, _, port = page.settings.web.listen.rpartition(":")
        for name in names:
            with (
                socket.create_connection((host, int(port)), timeout=10) as plain,
                tablet.wrap_socket(plain, server_hostname=name) as secured,
            ):
                assert secured.getpeercert(binary_form=True)
        stranger = ssl.create_default_context()
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            stranger.wrap_socket(plain, server_hostname=names[0])
    before = Path(issued["key"]).read_bytes()
    again = command("issue", *names, "--authority", facility, "--out", tmp_path / "rack-7")
    assert again["key"] == issued["key"] and Path(issued["key"]).read_bytes() != before


def test_refusals_say_what_is_wrong_and_change_nothing(
    authority: AuthorityFolder, tmp_path: Path
) -> None:
    before = authority.key.read_bytes()
    with pytest.raises(RequestError, match="exists"):
        authority.create("Gym", domains=[], now_s=NOW_S)
    assert authority.key.read_bytes() == before
    other = AuthorityFolder(tmp_path / "other")
    for name in ("", "a\nb", "a" * 65):
        with pytest.raises(RequestError, match="printable"):
            other.create(name, domains=[], now_s=NOW_S)
    for wrong in ("../x", "a b", "*.local", ""):
        with pytest.raises(RequestError, match="not a host name"):
            authority.issue([wrong], tmp_path / "none", days=1, now_s=NOW_S)
    for wrong in ("../x", "a .b", "*.local", ""):
        with pytest.raises(RequestError, match="not a host name"):
            other.create("Gym", domains=[wrong], now_s=NOW_S)
    for wrong in ("com", "com."):  # its key could then sign for any bank
        with pytest.raises(RequestError, match="top-level domain"):
            other.create("Gym", domains=[wrong], now_s=NOW_S)
    with pytest.raises(RequestError, match=r"authority\.crt is missing"):
        other.issue(["a.local"], tmp_path / "none", days=1, now_s=NOW_S)
    other.create("Gym", domains=[], now_s=NOW_S)
    other.key.write_bytes(before)
    with pytest.raises(RequestError, match="do not belong together"):
        other.issue(["a.local"], tmp_path / "none", days=1, now_s=NOW_S)
    other.key.write_bytes(b"damaged")
    with pytest.raises(RequestError, match="cannot be read"):
        other.issue(["a.local"], tmp_path / "none", days=1, now_s=NOW_S)
    assert not (tmp_path / "none").exists()


def judged(settings: Settings, *, days: float = 0) -> CheckResult:
    station = StationUnderTest(
        settings=settings, config=Path("station.toml"), now=instant(days * DAY_S), environ={}
    )
    return next(found for found in check_page(station) if found.name == "page certificate")


def test_the_doctor_says_when_a_given_certificate_expires_or_does_not_fit(
    authority: AuthorityFolder, tmp_path: Path
) -> None:
    names = ["rack-7.local", "127.0.0.1"]
    issued = authority.issue(names, tmp_path / "rack-7", days=100, now_s=NOW_S)
    web = {"tls": "given", "tls_cert": str(issued.certificate), "tls_key": str(issued.key)}
    fits = page_settings(tmp_path, web=web)

    assert judged(fits).state is Severity.FINE
    assert judged(fits, days=69).state is Severity.FINE
    soon = judged(fits, days=71)
    assert soon.state is Severity.WARNING and "in 29 days" in soon.finding
    assert judged(fits, days=101).state is Severity.BROKEN
    other = judged(page_settings(tmp_path, web={**web, "hosts": ["Rack-7.local", "rack-8.local"]}))
    assert other.state is Severity.WARNING and "not for rack-8.local, only" in other.finding
    authority.issue(names, tmp_path / "again", days=100, now_s=NOW_S)
    mixed = {**web, "tls_key": str(tmp_path / "again" / "page.key")}
    assert judged(page_settings(tmp_path, web=mixed)).state is Severity.BROKEN
    issued.certificate.unlink()
    assert judged(fits).state is Severity.BROKEN
    own = page_settings(tmp_path, web={"tls": "own"})
    with pytest.raises(StopIteration):
        judged(own)


def test_a_certificate_for_any_name_of_a_domain_fits_one_label(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path / "authority")
    folder.create("Gym", domains=[], now_s=NOW_S)
    key = load_pem_private_key(folder.key.read_bytes(), password=None)
    begins = x509.load_pem_x509_certificate(folder.certificate.read_bytes()).not_valid_before_utc
    made = self_signed(
        key,  # type: ignore[arg-type]  # it is one of an elliptic curve
        [x509.DNSName("*.gym.example")],
        begins=begins,
        ends=begins.replace(year=begins.year + 1),
    )
    public = tmp_path / "any.pem"
    public.write_bytes(made.public_bytes(Encoding.PEM))

    held = read_given(public, folder.key)

    assert held.fits("Rack-7.gym.example")
    assert not held.fits("a.rack-7.gym.example") and not held.fits("gym.example")
    found = judge_given(held, ["10.0.0.1"], now_s=NOW_S, renew="renew it")
    assert "not for 10.0.0.1" in found.finding and found.remedy == "renew it"
