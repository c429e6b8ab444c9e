//! The program: what it says, what it refuses, and how it ends.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use common::{Line, answers, ok};

fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_edge"));
    program.args(arguments).output().unwrap()
}

#[test]
fn what_is_wrong_on_the_command_line_is_named_with_its_cure() {
    let origin = ["--origin", "http://127.0.0.1:8000"];
    let cases: [(&[&str], [&str; 3]); 9] = [
        (&[], ["--origin <URL>", "required", "--help"]),
        (
            &["--origin", "127.0.0.1:8000"],
            [
                "127.0.0.1:8000",
                "no address of an HTTP server",
                "http://127.0.0.1:8000",
            ],
        ),
        (&["--origin", "https://a"], ["https://a", "TLS", "http://"]),
        (
            &["--origin", "http://a/b"],
            ["http://a/b", "more than a host", "http://127.0.0.1:8000"],
        ),
        (
            &[origin[0], origin[1], "--store", "nowhere://"],
            ["nowhere", "store url", "memory://"],
        ),
        (
            &[origin[0], origin[1], "--store", "memory://?size=much"],
            ["size=\"much\"", "no size", "MB"],
        ),
        (
            &[origin[0], origin[1], "--answer-timeout", "30"],
            ["30", "no span of time", "ms"],
        ),
        (
            &[origin[0], origin[1], "--host", "a/b"],
            ["a/b", "no host", "shop.example"],
        ),
        (
            &[origin[0], origin[1], "--listen", "8080"],
            ["8080", "--listen", "invalid"],
        ),
    ];
    for (arguments, said) in cases {
        let output = run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        for part in said {
            assert!(
                text.contains(part),
                "{arguments:?} does not say {part:?}: {text}"
            );
        }
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for option in [
        "--listen",
        "--origin",
        "--store",
        "--connect-timeout",
        "--answer-timeout",
        "--stale",
    ] {
        assert!(help.contains(option), "{help}");
    }
    assert!(
        help.contains("[default: 60s]") && help.contains("memory://?size=256MB"),
        "{help}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_until_it_is_told_to_end() {
    let (origin, _) =
        answers(|number, _| ok("Cache-Control: max-age=60\r\n", &number.to_string())).await;
    for signal in ["-TERM", "-INT"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_edge"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--origin",
                &format!("http://{origin}"),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(program.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        let address = first
            .strip_prefix("http://")
            .and_then(|rest| rest.split(' ').next());
        let address = address.unwrap().parse().unwrap();
        let taken = run(&["--origin", "http://a", "--listen", &format!("{address}")]);
        assert!(
            String::from_utf8_lossy(&taken.stderr).contains("choose another address with --listen")
        );
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let mut line = Line::to(address).await;
            line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            bodies.push(line.message().await.unwrap().text());
        }
        assert_eq!(bodies[0], bodies[1]);
        let told = Command::new("kill")
            .args([signal, &program.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        assert!(program.wait().unwrap().success());
    }
}
