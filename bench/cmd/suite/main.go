// Command suite measures the real ackbox binary on this machine, as `make bench` does:
//
//	withservers -- suite
//
// For each backend (MariaDB with Redis, and the embedded default) it starts a server on loopback with fresh data, runs the
// suite of scenarios against it, stops it, and prints the medians as markdown. The MariaDB and the Redis are those of
// ACKBOX_TEST_MYSQL_DSN and ACKBOX_TEST_REDIS_URL, else it starts its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"ackbox/bench"
	"ackbox/bench/rig"
	"ackbox/internal/testenv/instance"
)

type suite struct {
	Backends      []string      `name:"backend" default:"mariadb,embedded" enum:"mariadb,embedded" help:"What the server keeps its data in."`
	Scenarios     []string      `name:"scenario" default:"send,rate,group,acks,reconnect,slow,log,idle" enum:"send,rate,group,acks,reconnect,slow,log,idle" help:"What to run, in this order."`
	Repeat        int           `default:"5" help:"Runs of send, of rate, of group and of acks, of which the medians count."`
	Clients       int           `default:"256" help:"Users of send, rate, group, acks and (the healthy ones) slow."`
	SetupParallel int           `default:"4" help:"Accounts being registered at a time."`
	Duration      time.Duration `default:"10s" help:"Measured time of a run."`
	Warmup        time.Duration `default:"2s" help:"Unmeasured sending before it."`
	Rate          float64       `default:"300" help:"Sends a second of rate."`
	Connections   int           `default:"10000" help:"Sockets of idle."`
	Groups        int           `default:"50" help:"Groups of group."`
	GroupSize     int           `default:"20" help:"Members of each."`
	Waiting       int           `default:"100" help:"Messages waiting for each client of reconnect, and for each user of acks."`
	Reconnect     int           `name:"reconnect-clients" default:"10000" help:"Clients of reconnect, the users of log."`
	SlowSockets   int           `default:"1000" help:"Sockets of slow that do not read."`
	SlowRounds    int           `default:"3" help:"Pairs of rounds of slow."`
	LogMembers    int           `default:"10000" help:"Members of log's group; they are registered first, some minutes for 10,000."`
	LogSingles    int           `default:"20" help:"Single messages into it."`
	LogBursts     int           `default:"3" help:"Bursts after them, of which the median counts."`
	LogBurst      int           `default:"30" help:"Messages of a burst."`
	LogAckDelay   time.Duration `default:"1s" help:"Longest time until a member acks."`
	Binary        string        `type:"path" help:"The ackbox binary; built from this work tree when not given."`
	Env           []string      `help:"Further settings of the server, NAME=value."`
	Out           string        `type:"path" default:"bench-out" help:"Folder for the figures as JSON, the servers' logs and the profile."`
	Profile       bool          `help:"Also take a CPU profile of the server under each scenario but idle on each backend, and print its top."`
}

func main() {
	var s suite
	parsed := kong.Parse(&s, kong.Name("suite"), kong.Description("Measure the ackbox binary on this machine."))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := s.run(ctx)
	stop()
	parsed.FatalIfErrorf(err)
}

// run measures each backend and prints the comparison, also when a backend broke a promise, which is the error it returns.
func (s *suite) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.Out, 0o755); err != nil {
		return err
	}
	work, err := instance.NewDirectory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, work.Remove()) }()
	if s.Binary == "" {
		s.Binary = filepath.Join(work.Path, "ackbox")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.Binary, "ackbox")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ackbox: %w\n%s", err, out)
		}
	}
	var columns []column
	var broken error
	for _, name := range s.Backends {
		note(fmt.Sprintf("measuring %s", name))
		reports, err := s.backend(ctx, name, filepath.Join(work.Path, name))
		for _, r := range reports {
			broken = errors.Join(broken, r.Err())
		}
		if len(reports) > 0 {
			columns = append(columns, column{name: name, reports: reports})
			if err := bench.WriteJSON(filepath.Join(s.Out, name+".json"), reports); err != nil {
				return err
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, errors.Join(err, broken))
		}
	}
	if err := writeMarkdown(os.Stdout, columns); err != nil {
		return err
	}
	return broken
}

// backend runs the scenarios against a server that it starts with fresh data in dir, and stops all it started.
func (s *suite) backend(ctx context.Context, name, dir string) (reports []*bench.Report, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	settings := s.Env
	var watched map[string]int
	if name == "mariadb" {
		stores, err := rig.OpenStores(ctx, dir, note)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stores.Close()) }()
		settings, watched = append(slices.Clone(stores.Settings), settings...), stores.Processes
	}
	server, err := rig.StartServer(ctx, s.Binary, dir, filepath.Join(s.Out, name+".log"), settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()

	options := bench.Options{
		URL: []string{server.URL()}, AdminURL: server.AdminURL(), ServerPID: server.PID(), Processes: watched,
		Clients: s.Clients, SetupParallel: s.SetupParallel, Duration: s.Duration, Warmup: s.Warmup, Settle: 15 * time.Second, MemorySettle: 15 * time.Second,
		Timeout: 10 * time.Second, Rate: s.Rate, Text: 64, Connections: s.Connections, IdleUsers: 100,
		Groups: s.Groups, GroupSize: s.GroupSize, LogMembers: s.LogMembers, LogSingles: s.LogSingles, LogSpacing: time.Second,
		Waiting: s.Waiting, FillGroup: 100, ReconnectClients: s.Reconnect, ReconnectLimit: 2 * time.Minute,
		SlowSockets: s.SlowSockets, SlowRate: 0.5, SlowText: 8000, SlowRounds: s.SlowRounds, AckDevices: 20,
		LogBursts: s.LogBursts, LogBurst: s.LogBurst, LogAckDelay: s.LogAckDelay, Accounts: new(bench.Accounts), Live: os.Stderr,
	}
	// A fresh process for the idle sockets: what sending and hashing passwords took isn't in their baseline.
	restart := func(ctx context.Context, o bench.Options) (bench.Options, error) {
		if err := server.Restart(ctx); err != nil {
			return o, err
		}
		o.ServerPID = server.PID()
		return o, nil
	}
	for _, scenario := range s.Scenarios {
		if s.Profile && scenario != "idle" {
			if err := s.profile(ctx, name, scenario, server, options); err != nil {
				return reports, err
			}
		}
	}
	return bench.Measure(ctx, options, s.Scenarios, s.Repeat, restart)
}

// profile runs a scenario once more, before what is measured, while the server profiles its CPU, and prints the functions at the
// top. The run's own figures are not used: profiling costs some percent.
func (s *suite) profile(ctx context.Context, name, scenario string, server *rig.Server, o bench.Options) error {
	path := filepath.Join(s.Out, name+"."+scenario+".cpu.prof")
	var taking sync.WaitGroup
	var profileErr error
	o.Started = func() {
		taking.Go(func() { profileErr = server.Profile(ctx, max(1, int(o.Duration.Seconds())), path) })
	}
	_, err := bench.Measure(ctx, o, []string{scenario}, 1, nil)
	taking.Wait() // it ends with its seconds, the server or ctx
	if err := errors.Join(err, profileErr); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	top := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodecount=70", s.Binary, path)
	text, err := top.Output()
	if err != nil {
		return fmt.Errorf("pprof: %w", err)
	}
	note(fmt.Sprintf("%s, %s:\n%s", name, scenario, strings.TrimSpace(string(text))))
	return nil
}

// note tells the person who waits.
func note(text string) { fmt.Fprintln(os.Stderr, text) }
