// Command chaos breaks a deployment that it starts on loopback, and checks what its clients saw, as `make chaos` does:
//
//	chaos --fault kill-node --cycles 300 --seed 1
//
// It exits with 0 when every promise was kept, 1 when one was broken, 2 when it could not run.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"ackbox/chaos"
)

const (
	exitBroken = 1
	exitNotRun = 2
)

type command struct {
	Fault   []string `default:"all" help:"What to break, one after the other; all for everything, list to see what there is."`
	Cycles  int      `default:"20" help:"Injections of each fault."`
	Every   int      `default:"20" help:"Injections until the load rests and everything is checked."`
	Minutes float64  `default:"0" help:"No new round after that many minutes; 0 for no bound."`
	Seed    uint64   `default:"0" help:"Of the moments and the choices; 0 takes one."`
	Rate    float64  `default:"500" help:"Sends a second, when the machine allows."`
	Short   bool     `help:"Shorter faults."`
	Resume  bool     `help:"Go on where the last run of the same faults in the same folder ended."`
	Keep    bool     `help:"Keep the history and logs of rounds in which nothing was broken too."`
	Binary  string   `type:"path" help:"The ackbox binary; built from this work tree when not given."`
	Out     string   `type:"path" default:"chaos-out" help:"Folder for the report as JSON, the state, and the history and logs of a broken promise."`
}

func main() {
	var c command
	parser := kong.Must(&c, kong.Name("chaos"), kong.Description("Break a deployment on this machine, and check what its clients saw."))
	if _, err := parser.Parse(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(exitNotRun)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := c.run(ctx)
	stop()
	switch {
	case errors.Is(err, chaos.ErrViolation):
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(exitBroken)
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(exitNotRun)
	}
}

func (c *command) run(ctx context.Context) error {
	var faults []chaos.Fault
	for _, name := range c.Fault {
		switch name {
		case "list":
			for _, f := range chaos.Faults() {
				fmt.Printf("%-20s %s\n", f.Name, f.Help)
			}
			return nil
		case "all":
			faults = append(faults, chaos.Faults()...)
		default:
			f, err := chaos.Find(name)
			if err != nil {
				return err
			}
			faults = append(faults, f)
		}
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000) + 1
	}
	report, err := chaos.Run(ctx, chaos.Options{
		Faults: faults, Cycles: c.Cycles, Every: c.Every, Time: time.Duration(c.Minutes * float64(time.Minute)), Seed: c.Seed, Rate: c.Rate,
		Short: c.Short, Resume: c.Resume, Keep: c.Keep, Binary: c.Binary, Out: c.Out, Log: os.Stderr,
	})
	return errors.Join(err, report.Table(os.Stdout), report.Save(filepath.Join(c.Out, "report.json")))
}
