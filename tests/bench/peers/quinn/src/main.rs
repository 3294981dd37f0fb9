// SPDX-License-Identifier: MIT

// quinn as a peer of the benchmark: peer_quinn bulk|handshakes|requests|idle N, as
// tests/bench/peers/peer.h says. The program starts itself twice, one end on each core.

use quinn::{
    rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    rustls::RootCertStore,
    ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TransportConfig,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{exit, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const REQUEST_BYTES: usize = 128;
const REQUESTS_AT_ONCE: usize = 100;
const DIALS_AT_ONCE: usize = 16;
const WARM_UP: usize = 50;

type Failure = Box<dyn std::error::Error>;

fn say(name: &str, value: f64) {
    println!("{name} {value:.1}");
    std::io::stdout().flush().expect("stdout");
}

fn settings() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window((16u32 << 20).into())
        .receive_window((24u32 << 20).into())
        .send_window(24 << 20)
        .max_concurrent_bidi_streams(1000u32.into());
    Arc::new(transport)
}

/// With buffers of the socket as quic-go asks for them: quinn leaves that to the application.
fn open(server: Option<ServerConfig>) -> Result<Endpoint, Failure> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(7 << 20)?;
    socket.set_send_buffer_size(7 << 20)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(Endpoint::new(
        EndpointConfig::default(),
        server,
        socket.into(),
        runtime,
    )?)
}

fn rss_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = text.split(' ').nth(1).expect("a second field");
    pages.parse::<f64>().expect("a number") * 4096.0
}

/// Goodput from the first byte to the last, as the receiver sees it.
async fn drain(connection: Connection, mib: usize) -> Result<(), Failure> {
    let mut stream = connection.accept_uni().await?;
    let mut start = Instant::now();
    let mut total = 0;
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
        if total == 0 {
            start = Instant::now();
        }
        total += chunk.bytes.len();
    }
    assert_eq!(total, mib << 20);
    say(
        "bits_per_second",
        total as f64 * 8.0 / start.elapsed().as_secs_f64(),
    );
    connection.close(0u32.into(), b"");
    Ok(())
}

async fn answer(connection: Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            if let Ok(request) = receive.read_to_end(REQUEST_BYTES).await {
                let _ = send.write_all(&request).await;
                let _ = send.finish();
            }
        });
    }
}

async fn serve(figure: String, n: usize) -> Result<(), Failure> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
    let certificate = CertificateDer::from(made.cert);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::with_single_cert(vec![certificate.clone()], key.into())?;
    config.transport_config(settings());
    let endpoint = open(Some(config))?;
    let hex: String = certificate.iter().map(|b| format!("{b:02x}")).collect();
    println!("ready {} {hex}", endpoint.local_addr()?.port());
    let up = Arc::new(AtomicUsize::new(0));
    if figure == "idle" {
        tokio::spawn(weigh(up.clone(), n));
    }
    while let Some(incoming) = endpoint.accept().await {
        let figure = figure.clone();
        let up = up.clone();
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            up.fetch_add(1, Ordering::Relaxed);
            match figure.as_str() {
                "bulk" => drain(connection, n).await.expect("bulk"),
                "requests" => answer(connection).await,
                _ => drop(connection.closed().await),
            }
        });
    }
    Ok(())
}

/// What the process gains from its first connections to the last, for each of them.
async fn weigh(up: Arc<AtomicUsize>, n: usize) {
    let mut seen = Vec::new();
    for wanted in [WARM_UP, WARM_UP + n] {
        while up.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        seen.push(rss_bytes());
    }
    say("bytes_per_connection", (seen[1] - seen[0]) / n as f64);
}

async fn dial(endpoint: &Endpoint, port: u16) -> Connection {
    let address = ([127, 0, 0, 1], port).into();
    let connecting = endpoint.connect(address, "localhost").expect("dial");
    connecting.await.expect("handshake")
}

async fn request(connection: &Connection) -> Result<(), Failure> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[0; REQUEST_BYTES]).await?;
    send.finish()?;
    let reply = receive.read_to_end(REQUEST_BYTES).await?;
    assert_eq!(reply.len(), REQUEST_BYTES);
    Ok(())
}

/// Makes n requests, at most REQUESTS_AT_ONCE at a time; requests per second.
async fn requests(connection: &Connection, n: usize) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..REQUESTS_AT_ONCE {
        let (connection, next) = (connection.clone(), next.clone());
        workers.push(tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < n {
                request(&connection).await.expect("request");
            }
        }));
    }
    for worker in workers {
        worker.await.expect("worker");
    }
    n as f64 / start.elapsed().as_secs_f64()
}

async fn handshakes(endpoint: &Endpoint, port: u16, n: usize) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..DIALS_AT_ONCE {
        let (endpoint, next) = (endpoint.clone(), next.clone());
        workers.push(tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < n {
                dial(&endpoint, port).await.close(0u32.into(), b"");
            }
        }));
    }
    for worker in workers {
        worker.await.expect("worker");
    }
    n as f64 / start.elapsed().as_secs_f64()
}

async fn idle(endpoint: &Endpoint, port: u16, n: usize) {
    let mut held = Vec::new();
    for count in [WARM_UP, n] {
        for _ in 0..count {
            held.push(dial(endpoint, port).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn drive(figure: &str, n: usize, port: u16, hex: &str) -> Result<(), Failure> {
    let der: Result<Vec<u8>, _> = (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16))
        .collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der?))?;
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots))?;
    config.transport_config(settings());
    let mut endpoint = open(None)?;
    endpoint.set_default_client_config(config);
    match figure {
        "bulk" => {
            let connection = dial(&endpoint, port).await;
            let mut stream = connection.open_uni().await?;
            let chunk = vec![0; 64 << 10];
            for _ in 0..(n << 20) / chunk.len() {
                stream.write_all(&chunk).await?;
            }
            stream.finish()?;
            connection.closed().await;
        }
        "handshakes" => {
            say(
                "handshakes_per_second",
                handshakes(&endpoint, port, n).await,
            );
        }
        "requests" => {
            let connection = dial(&endpoint, port).await;
            requests(&connection, n / 10).await;
            say("requests_per_second", requests(&connection, n).await);
        }
        _ => idle(&endpoint, port, n).await,
    }
    Ok(())
}

/// The server on core 0, then the client on core 1; the server ends with the client.
fn pair(figure: &str, n: &str) -> Result<i32, Failure> {
    let own = std::env::current_exe()?;
    let mut server = Command::new("taskset")
        .args(["-c", "0"])
        .arg(&own)
        .args(["serve", figure, n])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(server.stdout.take().ok_or("no pipe")?);
    let mut ready = String::new();
    out.read_line(&mut ready)?;
    let words: Vec<&str> = ready.split_whitespace().collect();
    let status = Command::new("taskset")
        .args(["-c", "1"])
        .arg(&own)
        .args(["drive", figure, n, words[1], words[2]])
        .status()?;
    server.kill()?;
    let mut said = String::new();
    out.read_to_string(&mut said)?;
    print!("{said}");
    server.wait()?;
    Ok(status.code().unwrap_or(1))
}

fn run() -> Result<i32, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words[..] {
        ["version"] => println!(
            "version quinn {}",
            option_env!("PEER_QUINN_VERSION").unwrap_or("0.11")
        ),
        ["serve", figure, n] => runtime.block_on(serve(figure.into(), n.parse()?))?,
        ["drive", figure, n, port, hex] => {
            runtime.block_on(drive(figure, n.parse()?, port.parse()?, hex))?;
        }
        [figure, n] => return pair(figure, n),
        _ => {
            eprintln!("peer_quinn bulk|handshakes|requests|idle N, or version");
            return Ok(2);
        }
    }
    Ok(0)
}

fn main() {
    match run() {
        Ok(status) => exit(status),
        Err(failure) => {
            eprintln!("peer_quinn: {failure}");
            exit(1);
        }
    }
}
