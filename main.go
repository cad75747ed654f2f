// Ackbox is a messaging service: web front ends send by REST with a key of their own
// making, the server pushes by a WebSocket that only pushes, receivers ack by REST, and a
// persistent mailbox per user makes sure that nothing is lost on the way.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ackbox/bench"
	"ackbox/config"
	"ackbox/model"
	"ackbox/verify"

	"github.com/alecthomas/kong"
)

// version is set by the linker.
var version = "dev"

// command is the command line. The configuration's flags stand beside the commands, so that
// `ackbox --http-addr … migrate status` and `ackbox serve` read the same settings.
type command struct {
	config.Config `embed:""`
	ConfigFile    string `name:"config" env:"ACKBOX_CONFIG" type:"path" help:"YAML file with the same names."`

	Serve       serveCommand       `cmd:"" default:"1" help:"Run the service (the default)."`
	Migrate     migrateCommand     `cmd:"" help:"Look at or update the database schema."`
	Backup      backupCommand      `cmd:"" help:"Copy the SQLite database and the files to a folder, while the server runs."`
	Restore     restoreCommand     `cmd:"" help:"Put such a copy in place. The server must have stopped."`
	Restored    restoredCommand    `cmd:"" help:"Tell a database that it was restored by other means: ids go on above all that were given out, devices check their positions."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running service whether it is ready; for containers."`
	Bench       bench.Command      `cmd:"" help:"Measure a running deployment."`
	Verify      verify.Command     `cmd:"" help:"Prove from outside that a running deployment loses, doubles and reorders nothing."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ackbox: "+strings.ReplaceAll(err.Error(), "\n", "\n        "))
		stop()
		code := 1
		if asks := (kong.ExitCoder)(nil); errors.As(err, &asks) {
			code = asks.ExitCode()
		}
		os.Exit(code) //nolint:gocritic // stop has been called
	}
}

// run is the program: parse, check, do.
func run(ctx context.Context, args []string, out io.Writer) error {
	var c command
	parser, err := kong.New(&c, kong.Name("ackbox"), kong.Description("A messaging service: send by REST, push by WebSocket, ack by REST, a mailbox per user."),
		kong.UsageOnError(), kong.Writers(out, os.Stderr), kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)), kong.Bind(&c.Config))
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if path := configPath(args); path != "" {
		known := map[string]bool{}
		for _, flag := range parser.Model.Flags {
			known[flag.Name] = true
		}
		resolver, err := config.YAML(path, func(name string) bool { return known[name] })
		if err != nil {
			return err
		}
		if err := kong.Resolvers(resolver).Apply(parser); err != nil {
			return fmt.Errorf("configuration file: %w", err)
		}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return err //nolint:wrapcheck // kong's sentence is the whole message
	}
	return parsed.Run() //nolint:wrapcheck // the commands wrap their own
}

// configPath finds --config before the flags are parsed, since the file is one of
// their sources.
func configPath(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			return value
		}
		if arg == "--config" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return os.Getenv("ACKBOX_CONFIG")
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "ackbox", version)
	return err //nolint:wrapcheck // nothing to add
}

type serveCommand struct{}

// Run serves until the signal.
func (serveCommand) Run(ctx context.Context, c *config.Config) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	defer keepHeap()()
	s, err := newServer(ctx, c)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

type migrateCommand struct {
	Status migrateStatus `cmd:"" default:"1" help:"List the migrations and whether each has been applied."`
	Up     migrateUp     `cmd:"" help:"Apply those that are missing."`
}

type (
	migrateStatus struct{}
	migrateUp     struct{}
)

// Run lists the migrations.
func (migrateStatus) Run(ctx context.Context, c *config.Config, out io.Writer) error {
	return withStore(ctx, c, func(store *model.Store) error {
		list, err := store.Migrations(ctx)
		if err != nil {
			return err
		}
		for _, m := range list {
			state := "missing"
			if m.Applied {
				state = "applied"
			}
			if _, err := fmt.Fprintf(out, "%05d  %-8s %s\n", m.Version, state, m.Name); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		return nil
	})
}

// Run applies the missing migrations.
func (migrateUp) Run(ctx context.Context, c *config.Config, out io.Writer) error {
	return withStore(ctx, c, func(store *model.Store) error {
		if err := store.Migrate(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "the schema is up to date")
		return err //nolint:wrapcheck // nothing to add
	})
}

func withStore(ctx context.Context, c *config.Config, fn func(*model.Store) error) error {
	store, err := model.Open(ctx, storeOptions(c, nil))
	if err != nil {
		return err
	}
	return errors.Join(fn(store), store.Close())
}

type healthcheckCommand struct{}

// Run asks this machine's service for /readyz.
func (healthcheckCommand) Run(ctx context.Context, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addr := c.HTTPAddr
	if host, port, found := strings.Cut(addr, ":"); found && (host == "" || host == "0.0.0.0") {
		addr = "127.0.0.1:" + port
	}
	scheme, client := "http://", &http.Client{}
	if c.TLSCert != "" {
		scheme = "https://"
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it is this machine, and nothing is told it
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+addr+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	var body json.RawMessage
	decodeErr := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&body)
	if err := errors.Join(decodeErr, answer.Body.Close()); err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", body)
	}
	return nil
}

func sqlitePath(c *config.Config) string { return filepath.Join(c.DataDir, "ackbox.db") }
