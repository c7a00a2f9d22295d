// Command matrix: pgx, one JSON line per check.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func check(name string, run func(context.Context) error) {
	ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	line := map[string]any{"check": name, "ok": true}
	if err := run(ctx); err != nil {
		line["ok"], line["error"] = false, err.Error()
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func sqlstate(err error, wanted string) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == wanted {
		return nil
	}
	return fmt.Errorf("not %s: %v", wanted, err)
}

func one[T comparable](ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, wanted T, sql string, arguments ...any) error {
	var seen T
	if err := db.QueryRow(ctx, sql, arguments...).Scan(&seen); err != nil {
		return err
	}
	if seen != wanted {
		return errors.New("another value")
	}
	return nil
}

type client struct{ *pgx.Conn }

func (c client) simple(ctx context.Context) error {
	results, err := c.PgConn().Exec(ctx, "SELECT 40 + 2").ReadAll()
	if err != nil {
		return err
	}
	if string(results[0].Rows[0][0]) != "42" {
		return errors.New("not 42")
	}
	return nil
}

func (c client) prepared(ctx context.Context) error {
	if _, err := c.Prepare(ctx, "sum", "SELECT $1::int + $2::int"); err != nil {
		return err
	}
	for number := int32(0); number < 3; number++ {
		if err := one(ctx, c, number+2, "sum", number, int32(2)); err != nil {
			return err
		}
	}
	return nil
}

func (c client) null(ctx context.Context) error {
	var seen *string
	if err := c.QueryRow(ctx, "SELECT $1::text", nil).Scan(&seen); err != nil {
		return err
	}
	if seen != nil {
		return errors.New("not NULL")
	}
	return nil
}

func (c client) binary(ctx context.Context) error {
	sent := make([]byte, 256)
	for at := range sent {
		sent[at] = byte(at)
	}
	var seen []byte
	if err := c.QueryRow(ctx, "SELECT $1::bytea", sent).Scan(&seen); err != nil {
		return err
	}
	if !bytes.Equal(sent, seen) {
		return errors.New("other bytes")
	}
	return nil
}

func (c client) rows(ctx context.Context) error {
	rows, err := c.Query(ctx, "SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
	if err != nil {
		return err
	}
	count, sum := 0, 0
	for rows.Next() {
		var number int
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return err
		}
		count, sum = count+1, sum+number
	}
	if count != 20000 || sum != 200010000 {
		return errors.New("other rows")
	}
	return rows.Err()
}

func (c client) value(ctx context.Context) error {
	wanted := strings.Repeat("0123456789abcdef", 262144)
	return one(ctx, c, wanted, "SELECT repeat('0123456789abcdef', 262144)")
}

func (c client) copyOut(ctx context.Context) error {
	var wanted int
	if err := c.QueryRow(ctx, "SELECT count(*) FROM order_lines").Scan(&wanted); err != nil {
		return err
	}
	var got bytes.Buffer
	if _, err := c.PgConn().CopyTo(ctx, &got, "COPY (SELECT * FROM order_lines) TO STDOUT"); err != nil {
		return err
	}
	if lines := bytes.Count(got.Bytes(), []byte("\n")); lines != wanted {
		return fmt.Errorf("%d lines, not %d", lines, wanted)
	}
	return nil
}

func (c client) refused(ctx context.Context) error {
	_, err := c.Exec(ctx, "DELETE FROM notes")
	return sqlstate(err, "42501")
}

func (c client) alive(ctx context.Context) error {
	return one(ctx, c, "alive", "SELECT 'alive'")
}

func (c client) transaction(ctx context.Context) error {
	work, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := work.Exec(ctx, "SELECT count(*) FROM orders"); err != nil {
		return err
	}
	_, err = work.Exec(ctx, "DELETE FROM notes")
	if err := sqlstate(err, "42501"); err != nil {
		return err
	}
	_, err = work.Exec(ctx, "SELECT 'too late'")
	if err := sqlstate(err, "25P02"); err != nil {
		return err
	}
	if err := work.Rollback(ctx); err != nil {
		return err
	}
	return one(ctx, c, "after", "SELECT 'after'")
}

func (c client) cancel(ctx context.Context) error {
	answer := make(chan error, 1)
	go func() {
		_, err := c.PgConn().Exec(ctx, "SELECT pg_sleep(60)").ReadAll()
		answer <- err
	}()
	for {
		select {
		case err := <-answer:
			return sqlstate(err, "57014")
		case <-time.After(200 * time.Millisecond):
			// The first request may come before the statement does: it cancels nothing then.
			if err := c.PgConn().CancelRequest(ctx); err != nil {
				return err
			}
		}
	}
}

func (c client) pipeline(ctx context.Context) error {
	batch := &pgx.Batch{}
	for number := 0; number < 20; number++ {
		batch.Queue("SELECT $1::int * 2", number)
	}
	answers := c.SendBatch(ctx, batch)
	for number := 0; number < 20; number++ {
		var seen int
		if err := answers.QueryRow().Scan(&seen); err != nil {
			return err
		}
		if seen != number*2 {
			return errors.New("another answer")
		}
	}
	if err := answers.Close(); err != nil {
		return err
	}
	return c.refusedInPipeline(ctx)
}

func (c client) refusedInPipeline(ctx context.Context) error {
	pipe := c.PgConn().StartPipeline(ctx)
	pipe.SendQueryParams("SELECT 'first'", nil, nil, nil, nil)
	pipe.SendPipelineSync()
	pipe.SendQueryParams("DELETE FROM notes", nil, nil, nil, nil)
	pipe.SendQueryParams("SELECT 'passed over'", nil, nil, nil, nil)
	pipe.SendPipelineSync()
	pipe.SendQueryParams("SELECT 'last'", nil, nil, nil, nil)
	pipe.SendPipelineSync()
	if err := pipe.Flush(); err != nil {
		return err
	}
	story := []string{}
	for {
		result, err := pipe.GetResults()
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused):
			story = append(story, refused.Code)
		case err != nil:
			return err
		case result == nil:
			if err := pipe.Close(); err != nil && !errors.As(err, &refused) {
				return err
			}
			if seen := strings.Join(story, " "); seen != "first sync 42501 sync last sync" {
				return errors.New(seen)
			}
			return nil
		}
		switch result := result.(type) {
		case *pgconn.ResultReader:
			read := result.Read()
			if read.Err != nil {
				if errors.As(read.Err, &refused) {
					story = append(story, refused.Code)
					continue
				}
				return read.Err
			}
			story = append(story, string(read.Rows[0][0]))
		case *pgconn.PipelineSync:
			story = append(story, "sync")
		}
	}
}

func main() {
	var connection *pgx.Conn
	check("login", func(ctx context.Context) (err error) {
		connection, err = pgx.Connect(ctx, "") // all of it comes from the environment
		return err
	})
	if connection == nil {
		os.Exit(1)
	}
	c := client{connection}
	defer c.Close(context.Background())
	check("simple", c.simple)
	check("prepared", c.prepared)
	check("null", c.null)
	check("binary", c.binary)
	check("rows", c.rows)
	check("value", c.value)
	check("copy-out", c.copyOut)
	check("refused", c.refused)
	check("alive", c.alive)
	check("transaction", c.transaction)
	check("cancel", c.cancel)
	check("pipeline", c.pipeline)
}
