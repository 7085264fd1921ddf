//! A PostgreSQL of the test's own, on a free port of this machine, gone when
//! it is dropped. Needs Debian's package `postgresql` (or any installation
//! whose `initdb` and `postgres` are in the path).

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running cluster with one database.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// Starts one; says what to install where there is none.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("spendlake-pg").tempdir().expect("folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("data folder");
        give_to_server_user(folder.path());
        let made = as_server_user(&program("initdb"))
            .args(["--auth=trust", "--username=spendlake", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb failed");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let server = as_server_user(&program("postgres"))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-p", &port.to_string(), "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres starts");
        let postgres = Self { server, port, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        // It listens before it takes logins.
        let is_ready = || {
            let mut ask = Command::new(program("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            ask.status().is_ok_and(|status| status.success())
        };
        while !is_ready() {
            assert!(Instant::now() < deadline, "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres
    }

    /// Where a program finds it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://spendlake@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The child may be a wrapper that passes no signal on: ask by pg_ctl,
        // and wait for the end.
        let data = self._folder.path().join("data");
        let stopped = as_server_user(&program("pg_ctl"))
            .args(["stop", "-m", "immediate", "-w", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// PostgreSQL refuses to run as root: then it runs as Debian's `postgres`.
fn as_server_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    // The server's user may not be allowed into the current folder.
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn give_to_server_user(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").args(["-R", "postgres"]).arg(folder).status();
        assert!(
            given.is_ok_and(|status| status.success()),
            "no user postgres to run the server as"
        );
    }
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path);
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places = versions
        .map(|version| version.path().join("bin"))
        .chain(in_path)
        .map(|folder| folder.join(name));
    places.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("no {name}: install PostgreSQL (Debian: apt-get install postgresql)")
    })
}
