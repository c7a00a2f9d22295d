//! tokio-postgres with native-tls: one JSON line per check.

use std::env::var;
use std::error::Error;
use std::fs;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{pin_mut, StreamExt, TryStreamExt};
use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::{Client, Config};

type Seen = Result<(), Box<dyn Error>>;

fn ensure(holds: bool, what: &str) -> Seen {
    if holds { Ok(()) } else { Err(what.to_string().into()) }
}

fn sqlstate<T>(answer: Result<T, tokio_postgres::Error>, wanted: &str) -> Seen {
    match answer {
        Ok(_) => Err("it was not refused".into()),
        Err(error) => {
            let code = error.code().map(|code| code.code().to_string()).unwrap_or_default();
            ensure(code == wanted, &format!("{error:?}"))
        }
    }
}

async fn check(name: &str, running: impl Future<Output = Seen>) {
    let limit = Duration::from_secs(30);
    let error = match tokio::time::timeout(limit, running).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer in 30 s".to_string()),
    };
    match error {
        None => println!("{{\"check\": \"{name}\", \"ok\": true}}"),
        Some(error) => println!("{{\"check\": \"{name}\", \"ok\": false, \"error\": {error:?}}}"),
    }
}

async fn connect() -> Result<(Client, MakeTlsConnector), Box<dyn Error>> {
    let authority = Certificate::from_pem(&fs::read(var("PGSSLROOTCERT")?)?)?;
    let tls = MakeTlsConnector::new(TlsConnector::builder().add_root_certificate(authority).build()?);
    let mut config = Config::new();
    config
        .host(&var("PGHOST")?)
        .port(var("PGPORT")?.parse()?)
        .dbname(&var("PGDATABASE")?)
        .user(&var("PGUSER")?)
        .password(var("PGPASSWORD")?)
        .ssl_mode(tokio_postgres::config::SslMode::Require);
    let (client, connection) = config.connect(tls.clone()).await?;
    tokio::spawn(connection);
    Ok((client, tls))
}

async fn simple(client: &Client) -> Seen {
    let answer = client.simple_query("SELECT 40 + 2").await?;
    let seen = answer.iter().any(|message| {
        matches!(message, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("42"))
    });
    ensure(seen, "not 42")
}

async fn prepared(client: &Client) -> Seen {
    let statement = client.prepare("SELECT $1::int + $2::int").await?;
    for number in 0..3_i32 {
        let row = client.query_one(&statement, &[&number, &2_i32]).await?;
        ensure(row.get::<_, i32>(0) == number + 2, "not the sum")?;
    }
    Ok(())
}

async fn null(client: &Client) -> Seen {
    let row = client.query_one("SELECT $1::text", &[&None::<String>]).await?;
    ensure(row.get::<_, Option<String>>(0).is_none(), "not NULL")
}

async fn binary(client: &Client) -> Seen {
    let bytes: Vec<u8> = (0..=255).collect();
    let row = client.query_one("SELECT $1::bytea", &[&bytes]).await?;
    ensure(row.get::<_, Vec<u8>>(0) == bytes, "other bytes")
}

async fn rows(client: &Client) -> Seen {
    let rows = client.query("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i", &[]).await?;
    let sum: i64 = rows.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum();
    ensure(rows.len() == 20000 && sum == 200_010_000, "other rows")
}

async fn value(client: &Client) -> Seen {
    let row = client.query_one("SELECT repeat('0123456789abcdef', 262144)", &[]).await?;
    ensure(row.get::<_, String>(0) == "0123456789abcdef".repeat(262_144), "another value")
}

async fn copy_out(client: &Client) -> Seen {
    let wanted = client.query_one("SELECT count(*) FROM order_lines", &[]).await?.get::<_, i64>(0);
    let stream = client.copy_out("COPY (SELECT * FROM order_lines) TO STDOUT").await?;
    pin_mut!(stream);
    let mut lines = 0_i64;
    while let Some(chunk) = stream.next().await {
        lines += i64::try_from(chunk?.iter().filter(|byte| **byte == b'\n').count())?;
    }
    ensure(lines == wanted, "other lines")
}

async fn refused(client: &Client) -> Seen {
    sqlstate(client.execute("DELETE FROM notes", &[]).await, "42501")
}

async fn alive(client: &Client) -> Seen {
    ensure(client.query_one("SELECT 'alive'", &[]).await?.get::<_, String>(0) == "alive", "not alive")
}

async fn transaction(client: &mut Client) -> Seen {
    let work = client.transaction().await?;
    work.query_one("SELECT count(*) FROM orders", &[]).await?;
    sqlstate(work.execute("DELETE FROM notes", &[]).await, "42501")?;
    sqlstate(work.query_one("SELECT 'too late'", &[]).await, "25P02")?;
    work.rollback().await?;
    ensure(client.query_one("SELECT 'after'", &[]).await?.get::<_, String>(0) == "after", "not rolled back")
}

async fn cancel(client: &Client, tls: MakeTlsConnector) -> Seen {
    let token = client.cancel_token();
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let canceller = tokio::spawn(async move {
        // The first request may come before the statement does: it cancels nothing then.
        while !seen.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if !seen.load(Ordering::SeqCst) {
                let _ = token.cancel_query(tls.clone()).await;
            }
        }
    });
    let answer = client.query("SELECT pg_sleep(60)", &[]).await;
    over.store(true, Ordering::SeqCst);
    canceller.await?;
    sqlstate(answer, "57014")
}

async fn pipeline(client: &Client) -> Seen {
    // Futures that are polled together are sent without waiting for one another.
    let asked = (1..=20_i32).map(|number| async move {
        client.query_one("SELECT $1::int * 2", &[&number]).await.map(|row| row.get::<_, i32>(0))
    });
    let answers: Vec<i32> =
        futures_util::stream::FuturesOrdered::from_iter(asked).try_collect().await?;
    ensure(answers == (1..=20).map(|number| number * 2).collect::<Vec<i32>>(), "other answers")
}

#[tokio::main]
async fn main() -> Seen {
    let (mut client, tls) = connect().await?;
    check("login", async { Ok(()) }).await;
    check("simple", simple(&client)).await;
    check("prepared", prepared(&client)).await;
    check("null", null(&client)).await;
    check("binary", binary(&client)).await;
    check("rows", rows(&client)).await;
    check("value", value(&client)).await;
    check("copy-out", copy_out(&client)).await;
    check("refused", refused(&client)).await;
    check("alive", alive(&client)).await;
    check("transaction", transaction(&mut client)).await;
    check("cancel", cancel(&client, tls)).await;
    check("pipeline", pipeline(&client)).await;
    Ok(())
}
