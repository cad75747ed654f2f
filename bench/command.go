package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Options say what to drive and how hard. Every run is bounded by them, in time and in number.
type Options struct {
	URL              []string       `name:"url" default:"http://127.0.0.1:8080" help:"Address of the deployment; several nodes (comma separated) get the users in turn."`
	Clients          int            `default:"256" help:"Users of the send and rate scenarios; each sends to the next, all have a socket open."`
	SetupParallel    int            `default:"4" help:"Accounts being registered at a time: hashing a password is costly for the server by design."`
	Duration         time.Duration  `default:"10s" help:"Measured time of a run; for idle, how long the sockets are held before memory is read."`
	Warmup           time.Duration  `default:"2s" help:"Sending before that which isn't measured."`
	Settle           time.Duration  `default:"15s" help:"Longest wait after sending until everything accepted has been pushed."`
	MemorySettle     time.Duration  `default:"15s" help:"How long the server's memory is watched for its lowest reading, before and after the idle sockets."`
	Timeout          time.Duration  `default:"10s" help:"Longest wait for one answer."`
	Rate             float64        `default:"300" help:"Sends a second of the rate scenario."`
	Text             int            `default:"64" help:"Length of the messages' text in characters."`
	Connections      int            `default:"10000" help:"Sockets of the idle scenario."`
	IdleUsers        int            `default:"100" help:"Users that the idle sockets are spread over, as devices."`
	ServerPID        int            `name:"server-pid" help:"Process id of the server on this machine, to read its memory and CPU time."`
	AdminURL         string         `name:"admin-url" help:"Address of the server's admin listener, for /metrics and a garbage collection before memory is read."`
	Groups           int            `default:"50" help:"Groups of the group scenario, made of the clients in turn."`
	GroupSize        int            `default:"20" help:"Members of each; the service has to deliver by mailbox."`
	LogMembers       int            `default:"10000" help:"Members of the log scenario's one group, all online; the service has to deliver by log."`
	LogSingles       int            `default:"20" help:"Messages into it that are spaced."`
	LogSpacing       time.Duration  `default:"1s" help:"Time between them."`
	LogBursts        int            `default:"3" help:"Bursts of messages after them."`
	LogBurst         int            `default:"30" help:"Messages of a burst, sent as fast as the answers come."`
	Waiting          int            `default:"100" help:"Messages that wait for each device as reconnect begins, and for each user before a run of acks."`
	FillGroup        int            `default:"100" help:"Members of the groups by which they are put there; the service has to deliver by mailbox."`
	ReconnectClients int            `default:"10000" help:"Users of the reconnect scenario, with one device each, that come back at once."`
	ReconnectLimit   time.Duration  `default:"2m" help:"Longest wait until all of them are synced."`
	SlowSockets      int            `default:"1000" help:"Sockets of the slow scenario that do not read."`
	SlowRate         float64        `default:"0.5" help:"Messages a second to each of them."`
	SlowText         int            `default:"8000" help:"Length of those messages' text in characters: what the kernels buffer is used up by some before a round."`
	SlowRounds       int            `default:"3" help:"Pairs of rounds of the slow scenario, without and with such sockets."`
	AckDevices       int            `default:"20" help:"Devices of each client in the acks scenario; every one acks all that waits."`
	LogAckDelay      time.Duration  `default:"1s" help:"Longest time until a member of it acks; they take turns within it."`
	Processes        map[string]int `name:"watch" help:"Further processes whose CPU time is reported, as name=pid (mariadb=123;redis=456)."`

	// Started, when set, is called as a send or rate run's sockets are open and its sending begins.
	Started func() `kong:"-"`
	// Accounts, when set, keeps the users and groups from one call of Measure to the next.
	Accounts *Accounts `kong:"-"`
	// Live is where progress is shown; nil for nowhere.
	Live io.Writer `kong:"-"`
}

const (
	maxConnections = 1_000_000
	maxDuration    = 24 * time.Hour
	maxRate        = 1_000_000
	maxWaiting     = 10_000
	maxPreparing   = 5 * time.Minute // twice that is below the life of a token
)

// Command is `ackbox bench`.
type Command struct {
	Options
	Scenario string `enum:"send,rate,group,acks,reconnect,slow,log,idle" default:"send" help:"send: closed loop, as fast as answers come; rate: open loop at a constant rate; group: closed loop into groups; acks: closed loop of acks; reconnect: many clients at once, with messages waiting; slow: rate without and with sockets that do not read; log: one large group; idle: sockets that wait."`
	Suite    bool   `help:"Run all scenarios (send, rate, group and acks repeated) and print the medians."`
	Repeat   int    `default:"5" help:"Runs of a scenario in a suite."`
	JSON     string `name:"json" type:"path" help:"File for the figures as JSON."`
	Compare  string `type:"path" placeholder:"A.JSON" help:"Measure nothing; print the figures of this file and of the one that follows side by side, with their ratios."`
	With     string `arg:"" optional:"" type:"path" name:"b.json" help:"The file that --compare compares with."`

	out io.Writer // nil: standard output
}

// Scenarios are all there are, in the order in which they disturb each other least: the large group is new when log begins,
// and idle, last, wants a fresh process.
func Scenarios() []string {
	return []string{"send", "rate", "group", "acks", "reconnect", "slow", "log", "idle"}
}

// Run compares two files, or runs the scenario or the suite, prints a table and returns an error when it could not run, or when a message was
// lost, doubled or pushed out of order. It ends early with the context's error.
func (c *Command) Run(ctx context.Context) error {
	out := c.out
	if out == nil {
		out = os.Stdout
		c.Live = terminal(os.Stderr)
	}
	if (c.Compare == "") != (c.With == "") {
		return errors.New("comparing takes two files: --compare a.json b.json")
	}
	if c.Compare != "" {
		return Compare(out, c.Compare, c.With)
	}
	scenarios := []string{c.Scenario}
	repeat := 1
	if c.Suite {
		scenarios, repeat = Scenarios(), c.Repeat
	}
	if repeat < 1 || repeat > 1000 {
		return fmt.Errorf("repeat: %d is not between 1 and 1000", repeat)
	}
	reports, err := Measure(ctx, c.Options, scenarios, repeat, nil)
	for _, r := range reports {
		err = errors.Join(err, r.WriteTable(out), r.Err())
	}
	if c.JSON != "" && len(reports) > 0 {
		err = errors.Join(err, WriteJSON(c.JSON, reports))
	}
	return err
}

// Measure runs each scenario repeat times (log and slow once: they repeat within; reconnect once: it is long; idle once: it
// measures a level, not a speed) and returns a report each, in order, of medians when repeated. The reports made before an error are returned with it. beforeIdle, when not nil, is called
// between registering the idle users and opening their sockets: a restart of the server there keeps the memory that
// hashing passwords took out of the baseline; it returns the options to go on with (a new process id).
func Measure(ctx context.Context, o Options, scenarios []string, repeat int, beforeIdle func(context.Context, Options) (Options, error)) (_ []*Report, err error) {
	defer func() {
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = errors.Join(ctx.Err(), err) // whatever broke, it is because the run was ended
		}
	}()
	if err := o.check(); err != nil {
		return nil, err
	}
	// Collecting garbage less often leaves more of a shared machine to the server; the generator's heap is small.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	o = o.withServer()
	if o.Accounts == nil {
		o.Accounts = new(Accounts)
	}
	var reports []*Report
	for _, scenario := range scenarios {
		var runs []*Report
		var err error
		switch scenario {
		case "send", "rate", "group", "acks":
			if runs, err = o.repeated(ctx, scenario, repeat); err != nil {
				return reports, fmt.Errorf("%s: %w", scenario, err)
			}
		case "reconnect", "slow", "log":
			single := map[string]func(context.Context) (*Report, error){"reconnect": o.storm, "slow": o.slow, "log": o.large}[scenario]
			report, err := single(ctx)
			if err != nil {
				return reports, fmt.Errorf("%s: %w", scenario, err)
			}
			runs = append(runs, report)
		case "idle":
			crowd, err := o.population(ctx, 0, min(o.IdleUsers, o.Connections))
			if err != nil {
				return reports, err
			}
			if beforeIdle != nil {
				if o, err = beforeIdle(ctx, o); err != nil {
					return reports, err
				}
				o = o.withServer()
			}
			report, err := Idle(ctx, o, crowd)
			if err != nil {
				return reports, fmt.Errorf("idle: %w", err)
			}
			runs = append(runs, report)
		default:
			return reports, fmt.Errorf("no scenario is called %q", scenario)
		}
		reports = append(reports, Median(runs))
	}
	return reports, nil
}

// repeated runs one of the scenarios of all clients several times.
func (o Options) repeated(ctx context.Context, scenario string, repeat int) (runs []*Report, err error) {
	users, err := o.Accounts.clients(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := o.makeRoom(); err != nil {
		return nil, err
	}
	drive := Send
	switch scenario {
	case "rate":
		drive = Rate
	case "group":
		groups, err := o.Accounts.gathered(ctx, o)
		if err != nil {
			return nil, err
		}
		drive = func(ctx context.Context, o Options, users []*User) (*Report, error) {
			return Group(ctx, o, users, groups)
		}
	case "acks":
		if err := renew(ctx, users, time.Now().Add(time.Minute), o.Timeout); err != nil {
			return nil, err
		}
		parties, err := o.Accounts.divided(ctx, o, users)
		if err != nil {
			return nil, err
		}
		o.Accounts.filled = true
		drive = func(ctx context.Context, o Options, users []*User) (*Report, error) {
			return Acks(ctx, o, users, parties)
		}
	}
	for range repeat {
		takes := o.Warmup + o.Duration + o.Settle + time.Minute
		if scenario == "acks" {
			takes += o.preparing(len(users) * (1 + o.AckDevices))
		}
		if err := renew(ctx, users, time.Now().Add(takes), o.Timeout); err != nil {
			return nil, err
		}
		if scenario != "acks" {
			if err := o.Accounts.caughtUp(ctx, o); err != nil {
				return nil, err
			}
		}
		report, err := drive(ctx, o, users)
		if err != nil {
			return nil, err
		}
		runs = append(runs, report)
	}
	return runs, nil
}

// preparing is how long it may take to fill the mailboxes of so many devices; tokens have to live as long.
func (o Options) preparing(devices int) time.Duration {
	return min(time.Duration(devices)*(preparePace+time.Duration(o.Waiting)*rowPace), maxPreparing)
}

// storm runs the scenario of many clients that come back at once.
func (o Options) storm(ctx context.Context) (*Report, error) {
	takes := o.preparing(o.ReconnectClients) + min(o.ReconnectLimit, maxPreparing)
	users, err := o.Accounts.many(ctx, o, o.ReconnectClients, takes)
	if err != nil {
		return nil, err
	}
	parties, err := o.Accounts.divided(ctx, o, users)
	if err != nil {
		return nil, err
	}
	return Reconnect(ctx, o, users, parties)
}

// slow runs the scenario of sockets that do not read.
func (o Options) slow(ctx context.Context) (*Report, error) {
	users, err := o.Accounts.clients(ctx, o)
	if err != nil {
		return nil, err
	}
	takes := time.Duration(2*o.SlowRounds)*(o.Warmup+o.Duration+o.Settle+time.Minute/6) + o.preparing(o.SlowSockets)
	slow, err := o.Accounts.many(ctx, o, o.SlowSockets, min(takes, 2*maxPreparing))
	if err != nil {
		return nil, err
	}
	if err := renew(ctx, users, time.Now().Add(min(takes, 2*maxPreparing)), o.Timeout); err != nil {
		return nil, err
	}
	if err := o.Accounts.caughtUp(ctx, o); err != nil {
		return nil, err
	}
	parties, err := o.Accounts.divided(ctx, o, slow)
	if err != nil {
		return nil, err
	}
	return Slow(ctx, o, users, slow, parties)
}

// large runs the scenario of one large group.
func (o Options) large(ctx context.Context) (*Report, error) {
	party, err := o.Accounts.large(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := party.read(ctx, o); err != nil { // an earlier run has moved it on
		return nil, err
	}
	return Log(ctx, o, party)
}

// makeRoom makes room for three connections a user.
func (o Options) makeRoom() error { return raiseFileLimit(3*o.Clients + 256) }

// population registers n users, numbered from first on, on the deployment's nodes in turn.
func (o Options) population(ctx context.Context, first, n int) ([]*User, error) {
	targets, err := o.targets()
	if err != nil {
		return nil, err
	}
	var done atomic.Int64
	stop := o.progress(func() string { return fmt.Sprintf("setup: %d of %d accounts", done.Load(), n) })
	defer stop()
	return register(ctx, targets, first, n, o.SetupParallel, o.Timeout, &done)
}

// targets are the deployment's nodes.
func (o Options) targets() ([]*target, error) {
	targets := make([]*target, 0, len(o.URL))
	for _, raw := range o.URL {
		t, err := parseTarget(raw)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// withServer adds the server to the watched processes.
func (o Options) withServer() Options {
	with := o
	if o.ServerPID != 0 {
		with.Processes = map[string]int{}
		maps.Copy(with.Processes, o.Processes)
		with.Processes["server"] = o.ServerPID
	}
	return with
}

// check reports every bound that the options break.
func (o Options) check() error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) {
			errs = append(errs, fmt.Errorf("%s: %v is not between %v and %v", name, v, low, high))
		}
	}
	if len(o.URL) == 0 {
		errs = append(errs, errors.New("url: none given"))
	}
	for _, raw := range o.URL {
		if _, err := parseTarget(raw); err != nil {
			errs = append(errs, err)
		}
	}
	within("clients", float64(o.Clients), 2, maxSenders)
	within("setup-parallel", float64(o.SetupParallel), 1, 256)
	within("duration", o.Duration.Seconds(), 0.01, maxDuration.Seconds())
	within("warmup", o.Warmup.Seconds(), 0, maxDuration.Seconds())
	within("settle", o.Settle.Seconds(), 0, maxDuration.Seconds())
	within("memory-settle", o.MemorySettle.Seconds(), 0, maxDuration.Seconds())
	within("timeout", o.Timeout.Seconds(), 0.01, 3600)
	within("rate", o.Rate, 0.1, maxRate)
	within("text", float64(o.Text), 1, 10000)
	within("connections", float64(o.Connections), 1, maxConnections)
	within("groups", float64(o.Groups), 1, 10_000)
	within("group-size", float64(o.GroupSize), 2, addMembers)
	within("waiting", float64(o.Waiting), 1, maxWaiting)
	within("fill-group", float64(o.FillGroup), 3, addMembers)
	within("reconnect-clients", float64(o.ReconnectClients), 2, maxSenders)
	within("reconnect-limit", o.ReconnectLimit.Seconds(), 0.01, maxDuration.Seconds())
	within("slow-sockets", float64(o.SlowSockets), 2, maxSenders)
	within("slow-rate", o.SlowRate, 0.01, 1000)
	within("slow-text", float64(o.SlowText), 1, 10000)
	within("slow-rounds", float64(o.SlowRounds), 1, 100)
	within("ack-devices", float64(o.AckDevices), 1, 90)
	within("log-members", float64(o.LogMembers), 2, maxSenders)
	within("log-singles", float64(o.LogSingles), 1, 1000)
	within("log-spacing", o.LogSpacing.Seconds(), 0.001, 60)
	within("log-bursts", float64(o.LogBursts), 1, 100)
	within("log-burst", float64(o.LogBurst), 1, 10_000)
	within("log-ack-delay", o.LogAckDelay.Seconds(), 0.001, 60)
	within("idle-users", float64(o.IdleUsers), 1, maxSenders)
	return errors.Join(errs...)
}
