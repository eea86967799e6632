"""Java programs from Maven Central, in this user's cache: downloaded once, and out of reach of `make clean`."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from integrations.embedded.child import Child
from integrations.embedded.errors import EmbeddedError, NoJava, NotReady

OLDEST_JAVA = 17
DOWNLOAD_SECONDS = 600.0
STOP_SECONDS = 5.0
# The plugin's version stands here so that the same jars are chosen on every machine.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shop</groupId>
  <artifactId>{name}</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
DEPENDENCY = """\
    <dependency>
      <groupId>{0}</groupId>
      <artifactId>{1}</artifactId>
      <version>{2}</version>
    </dependency>"""


def java() -> str:
    """Return the path of a Java that is new enough; raise NoJava if there is none."""
    found = shutil.which("java")
    if found is None:
        raise NoJava(found="no java")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603  `java`
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version.group(1)) < OLDEST_JAVA:
        raise NoJava(found=said.strip().partition("\n")[0] or "a java that does not say its version")
    return found


def class_path(*, name: str, artifacts: Sequence[str]) -> str:
    """Return the class path of these artifacts (`group:artifact:version`) and of all they need at run time.

    What is not in the cache yet is downloaded, which needs `mvn`. Raises NoJava without it, EmbeddedError if the
    download fails.
    """
    # Another list of artifacts is another folder: nobody meets the jars of an older checkout.
    folder = cache_folder() / f"{name}-{hashlib.sha256(' '.join(artifacts).encode()).hexdigest()[:8]}"
    if not folder.exists():
        _download(folder=folder, name=name, artifacts=artifacts)
    return f"{folder}/*"


def cache_folder() -> Path:
    """Return where the jars are kept: `shop` in XDG_CACHE_HOME or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shop"


def _download(*, folder: Path, name: str, artifacts: Sequence[str]) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoJava(found="no mvn")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as workshop:
        pom, jars = Path(workshop, "pom.xml"), Path(workshop, "jars")
        dependencies = "\n".join(DEPENDENCY.format(*map(escape, artifact.split(":"))) for artifact in artifacts)
        pom.write_text(POM.format(name=name, dependencies=dependencies), encoding="utf-8")
        command = [maven, "--batch-mode", "--quiet", "-Dstyle.color=never", "--file", str(pom), COPY]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        download = Child(name="mvn", command=command, log_file=Path(workshop, "mvn.log"))
        download.start()
        try:
            status = download.wait(timeout_seconds=DOWNLOAD_SECONDS)
        except NotReady:
            raise EmbeddedError(f"mvn did not download {name} within {DOWNLOAD_SECONDS:g} seconds") from None
        finally:
            download.stop(timeout_seconds=STOP_SECONDS)
        if status != 0:
            raise EmbeddedError(f"mvn cannot download {name}: {_reason(download.log_file.read_text(errors='replace'))}")
        # Two starters may have downloaded side by side: the first one's folder stays.
        if not folder.exists():
            jars.rename(folder)


def _reason(said: str) -> str:
    # Some versions of mvn colour the first line whatever they are told.
    first = re.search(r"\[ERROR\] (.+)", said)
    return first.group(1) if first else said.strip().rpartition("\n")[2]
