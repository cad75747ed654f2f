// Command growth measures how the cost of a message grows, as `make growth` does: with the people and messages that are stored,
// with the size of a group, with the sockets that are open, and with the nodes. It starts a MariaDB, a Redis and the ackbox
// binary on this machine, fills the database in bulk, drives the servers with the scenarios of package bench, and writes tables
// (growth.md), figures (growth.json) and a plot (growth.png). It ends by itself and removes what it has filled.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type growth struct {
	Dimensions      []string      `name:"dimension" default:"mailboxes,groups,online,nodes" enum:"mailboxes,groups,online,nodes" help:"What grows, one after the other. What an earlier run has measured of the others stays in the tables and in the plot."`
	Sizes           []int         `default:"10000,100000,1000000" help:"Users of mailboxes, each with 10 messages and 20 mailbox entries; multiples of 10,000 but the last."`
	Members         []int         `default:"5,20,50,100" help:"Members of the mailbox groups of groups."`
	LogMembers      []int         `default:"200,1000,5000" help:"Members of the log groups of groups, all online."`
	Online          []int         `default:"0,1000,5000,10000" help:"Idle sockets of online, beside the load."`
	Nodes           []int         `default:"1,2,3" help:"Processes of nodes."`
	SocketsAUser    int           `name:"sockets-per-user" default:"1" help:"Idle sockets of each user in online, as devices: what a node does for its users, it does less often when they have several."`
	Base            int           `default:"10000" help:"Users that are stored in the dimensions but mailboxes."`
	Repeat          int           `default:"3" help:"Runs at each step, of which the medians count."`
	Duration        time.Duration `default:"10s" help:"Measured time of a run."`
	Warmup          time.Duration `default:"3s" help:"Unmeasured sending before it."`
	Clients         int           `default:"256" help:"Users who send; they are spread evenly over those who are stored."`
	Contacts        int           `default:"100" help:"Conversations of each of them with others, at places far apart in the tables; every second message goes to one of them (mailboxes only)."`
	Rate            float64       `default:"300" help:"Sends a second of the runs at a constant rate."`
	BufferPool      int           `default:"2048" help:"MariaDB's buffer pool in MB."`
	RedoLog         int           `default:"1024" help:"MariaDB's redo log in MB."`
	FillConnections int           `default:"2" help:"Connections that fill."`
	FillOnly        bool          `help:"Fill to the sizes of mailboxes, tell how long it took and what a message weighs, and measure nothing."`
	Binary          string        `type:"path" help:"The ackbox binary; built from this work tree when not given."`
	Env             []string      `help:"Further settings of the server, NAME=value."`
	Out             string        `type:"path" default:"bench-out/growth" help:"Folder for the tables, the figures, the plot and the servers' logs; the database is in tmp under it until the end."`
	Draw            bool          `help:"Measure nothing: write the tables and the plot again from growth.json."`

	live io.Writer // where progress is shown
}

// order is the order of the dimensions.
var order = []string{"mailboxes", "groups", "online", "nodes"}

func main() {
	g := growth{live: os.Stderr}
	parsed := kong.Parse(&g, kong.Name("growth"), kong.Description("Measure how the cost of a message grows on this machine."))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := g.run(ctx)
	stop()
	parsed.FatalIfErrorf(err)
}

// run measures the dimensions, and writes what there is after each.
func (g *growth) run(ctx context.Context) (err error) {
	if err := g.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(g.Out, 0o755); err != nil {
		return err
	}
	kept, err := readResult(g.path("growth.json"))
	if err != nil {
		return err
	}
	if g.Draw {
		return g.write(kept)
	}
	work := g.path("tmp")
	if err := os.RemoveAll(work); err != nil { // of a run that was killed
		return err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if g.Binary == "" {
		g.Binary = filepath.Join(work, "ackbox")
		build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", g.Binary, "ackbox")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build ackbox: %w\n%s", err, out)
		}
	}
	measures := map[string]func(context.Context, string, *dimension) error{"mailboxes": g.mailboxes, "groups": g.groups, "online": g.online, "nodes": g.nodes}
	for _, name := range order {
		if !slices.Contains(g.Dimensions, name) || (g.FillOnly && name != "mailboxes") {
			continue
		}
		g.note("growing " + name)
		d := &dimension{Name: name, Started: time.Now().UTC(), Setup: g.setup()}
		if err := measures[name](ctx, filepath.Join(work, name), d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if g.FillOnly {
			continue
		}
		kept.put(d, order)
		if err := g.write(kept); err != nil {
			return err
		}
	}
	if g.FillOnly {
		return nil
	}
	g.note(fmt.Sprintf("%s, growth.json and growth.png have all of it", g.path("growth.md")))
	return kept.writeMarkdown(os.Stdout)
}

// setup says how a dimension was measured.
func (g *growth) setup() map[string]string {
	return map[string]string{
		"Runs":        fmt.Sprintf("medians of %d of %s after %s", g.Repeat, g.Duration, g.Warmup),
		"Clients":     fmt.Sprintf("%d, and %s/s at the constant rate", g.Clients, digits(g.Rate)),
		"Buffer pool": fmt.Sprintf("%d MB, redo log %d MB", g.BufferPool, g.RedoLog),
	}
}

// write writes the files.
func (g *growth) write(r *result) error {
	if err := r.write(g.path("growth.json")); err != nil {
		return err
	}
	file, err := os.Create(g.path("growth.md"))
	if err != nil {
		return err
	}
	if err := errors.Join(r.writeMarkdown(file), file.Close()); err != nil {
		return err
	}
	return r.plot(g.path("growth.png"))
}

func (g *growth) path(name string) string { return filepath.Join(g.Out, name) }

// note tells the person who waits.
func (g *growth) note(text string) { fmt.Fprintln(g.live, text) }

// check reports every bound that the flags break; those of the load are checked by bench.
func (g *growth) check() error {
	var errs []error
	within := func(name string, low, high int, list ...int) {
		for i, v := range list {
			if v < low || v > high {
				errs = append(errs, fmt.Errorf("%s: %d is not between %d and %d", name, v, low, high))
			}
			if i > 0 && v <= list[i-1] {
				errs = append(errs, fmt.Errorf("%s: %d does not come after %d", name, v, list[i-1]))
			}
		}
		if len(list) == 0 {
			errs = append(errs, fmt.Errorf("%s: none given", name))
		}
	}
	within("sizes", minUsers, maxUsers, g.Sizes...)
	within("members", 2, 100, g.Members...)
	within("log-members", 2, 10_000, g.LogMembers...)
	within("online", 0, 100_000, g.Online...)
	within("nodes", 1, 9, g.Nodes...)
	within("sockets-per-user", 1, maxSocketsAUser, g.SocketsAUser)
	within("base", minUsers, maxUsers, g.Base)
	within("repeat", 1, 100, g.Repeat)
	within("clients", 2, 10_000, g.Clients)
	within("contacts", 0, 1000, g.Contacts)
	within("buffer-pool", 16, 1<<20, g.BufferPool)
	within("redo-log", 16, 1<<20, g.RedoLog)
	within("fill-connections", 1, 32, g.FillConnections)
	return errors.Join(errs...)
}
