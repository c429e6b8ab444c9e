//! The program: `edge --listen 127.0.0.1:8080 --origin http://127.0.0.1:8000`.

use std::process::ExitCode;

use clap::Parser;
use edge::{Fault, Options, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Ends when the program is told to, by whom it runs under or at the terminal.
async fn told_to_end() -> Result<impl Future<Output = ()>, Fault> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn run(options: Options) -> Result<(), Fault> {
    let edge = options.edge()?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let listen = options.listen;
        format!("cannot listen on {listen}: {error} (choose another address with --listen)")
    })?;
    let stop = told_to_end().await?;
    let (listen, origin) = (listener.local_addr()?, &options.origin);
    println!("http://{listen} in front of http://{origin}");
    serve(edge, listener, stop, options.grace).await
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edge: {error}");
            ExitCode::FAILURE
        }
    }
}
