// Command fresh: pgx, two connections of one pool, each with a token of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func run(ctx context.Context) error {
	config, err := pgxpool.ParseConfig("pool_max_conns=2")
	if err != nil {
		return err
	}
	config.BeforeConnect = func(ctx context.Context, connection *pgx.ConnConfig) error {
		token, err := exec.CommandContext(ctx, os.Getenv("PYTHON"), "-m", "pgjit", "token").Output()
		connection.Password = strings.TrimSpace(string(token))
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	for range 2 {
		connection, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer connection.Release()
		var policy string
		if err := connection.QueryRow(ctx, "SHOW pgjit.policy", pgx.QueryExecModeSimpleProtocol).Scan(&policy); err != nil {
			return err
		}
		fmt.Println(policy)
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
