package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ackbox/internal/testenv/instance"
	"ackbox/verify"
)

// ErrViolation says that a promise was broken; the report says which.
var ErrViolation = errors.New("a promise was broken")

// Options are what a run is asked for.
type Options struct {
	Faults []Fault
	Cycles int           // of each fault, those before a resumption included
	Every  int           // cycles until the load rests and the history is checked
	Time   time.Duration // no new round after it; 0: no bound
	Seed   uint64
	Rate   float64 // sends a second, when the machine allows
	Short  bool
	Resume bool
	Keep   bool      // keep the history and logs of rounds without a violation too
	Binary string    // the ackbox binary; built from the work tree when empty
	Out    string    // folder of the states, the report, and what a violation leaves
	Log    io.Writer // what happens, a line each
}

// historyEvents bounds one round's history: some 4 GB of memory at worst.
const historyEvents = 6_000_000

// Run goes through the faults and returns what was found, also beside an error: ErrViolation when a promise was broken,
// anything else when the run could not be done.
func Run(ctx context.Context, o Options) (report Report, err error) {
	began := time.Now()
	report = Report{Seed: o.Seed, At: began}
	defer func() { report.Machine = machine() }()
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return report, fmt.Errorf("folder of the results: %w", err)
	}
	work, err := instance.NewDirectory()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, work.Remove()) }()
	for _, fault := range o.Faults {
		r := &run{Options: o, fault: fault, dir: filepath.Join(work.Path, fault.Name), work: work.Path}
		if o.Time > 0 {
			r.deadline = began.Add(o.Time)
		}
		broken, err := r.all(ctx)
		report.Faults = append(report.Faults, r.state.Sums)
		if err != nil {
			return report, fmt.Errorf("%s: %w", fault.Name, err)
		}
		if broken != "" {
			report.Broken = broken
			return report, ErrViolation
		}
	}
	return report, nil
}

// run is the run of one fault.
type run struct {
	Options
	fault      Fault
	dir, work  string
	deadline   time.Time // zero: none
	state      State
	deployment *Deployment
	deadlocks  int             // of the database, when the last round ended
	idle       []verify.Sample // what each node used before the first clients came
}

func (r *run) say(format string, args ...any) {
	fmt.Fprintf(r.Log, "%s %s: %s\n", time.Now().Format("15:04:05"), r.fault.Name, fmt.Sprintf(format, args...))
}

func (r *run) over() bool { return !r.deadline.IsZero() && time.Now().After(r.deadline) }

// all starts the deployment and runs rounds on it until the cycles are done, the time is over, or a promise is broken,
// which it tells.
func (r *run) all(ctx context.Context) (broken string, err error) {
	if r.state, err = loadState(r.Out, r.fault.Name, r.Seed, r.Resume); err != nil {
		return "", err
	}
	if r.state.Sums.Cycles >= r.Cycles || r.over() {
		return "", nil
	}
	began, before := time.Now(), r.state.Sums.Took
	bin, err := r.binary(ctx)
	if err != nil {
		return "", err
	}
	logs := filepath.Join(r.dir, "logs")
	if r.deployment, err = NewDeployment(ctx, r.fault.Shape, r.fault.Crowd.orUsual(), bin, r.dir, logs); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.deployment.Close()) }()
	if r.idle, err = r.usage().Samples(ctx); err != nil {
		return "", err
	}
	r.say("%d nodes are ready; seed %d, %d of %d cycles done", len(r.deployment.Nodes), r.state.Seed, r.state.Sums.Cycles, r.Cycles)
	for r.state.Sums.Cycles < r.Cycles && !r.over() && broken == "" {
		if broken, err = r.round(ctx, min(r.Every, r.Cycles-r.state.Sums.Cycles)); err != nil {
			kept := r.keep("failed")
			return "", fmt.Errorf("round %d (history and logs: %s): %w", r.state.Rounds, kept, err)
		}
		r.state.Sums.Took = before + time.Since(began)
		if err := r.state.save(r.Out); err != nil {
			return broken, err
		}
	}
	return broken, nil
}

func (r *run) binary(ctx context.Context) (string, error) {
	if r.Binary != "" && !r.fault.Shape.Clock {
		return filepath.Abs(r.Binary)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if r.fault.Shape.Clock {
		bin := filepath.Join(r.work, "ackbox-stepped")
		r.say("building a node whose clock can be stepped")
		return bin, buildStepped(ctx, root, r.work, bin)
	}
	bin := filepath.Join(r.work, "ackbox")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	return bin, build(ctx, root, bin)
}

// moduleRoot is the directory of go.mod, from the working directory upwards.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output() //nolint:noctx // it is instant
	mod := strings.TrimSpace(string(out))
	if err != nil || mod == "" || mod == os.DevNull {
		return "", errors.Join(errors.New("not in ackbox's work tree"), err)
	}
	return filepath.Dir(mod), nil
}

func (r *run) historyPath() string { return filepath.Join(r.dir, "history.jsonl") }

// round puts a fresh load on the deployment, goes through n cycles, lets the load rest, and checks.
func (r *run) round(ctx context.Context, n int) (broken string, err error) {
	r.state.Rounds++
	random := rand.New(rand.NewPCG(r.state.Seed, uint64(r.state.Rounds)))
	file, err := os.Create(r.historyPath())
	if err != nil {
		return "", fmt.Errorf("history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	recorder := verify.NewRecorder(historyEvents, file)
	load, err := NewLoad(ctx, r.deployment.URLs(), r.fault.Crowd, recorder, r.Rate, random)
	if err != nil {
		return "", err
	}
	defer load.Close()
	load.Start(ctx)
	var blows []blow
	began := time.Now()
	for cycle := range n {
		if err := wait(ctx, 300*time.Millisecond+time.Duration(random.Int64N(int64(time.Second)))); err != nil {
			return "", err
		}
		b, err := r.cycle(ctx, random, recorder, load)
		if err != nil {
			return "", fmt.Errorf("cycle %d: %w", r.state.Sums.Cycles+cycle+1, err)
		}
		blows = append(blows, b)
		if r.over() {
			n = cycle + 1
			break
		}
	}
	if err := wait(ctx, time.Second); err != nil {
		return "", err
	}
	sending := time.Since(began)
	unrested := load.Rest(ctx)
	if ctx.Err() != nil {
		return "", unrested
	}
	tables, err := r.deployment.Tables(ctx, load.IDs())
	if err != nil {
		return "", err
	}
	if err := recorder.Err(); err != nil {
		return "", err
	}
	deadlocks, err := r.deployment.Deadlocks(ctx)
	if err != nil {
		return "", err
	}
	broke := max(0, deadlocks-r.deadlocks) // it began anew when the database did
	r.state.Sums.Deadlocks += broke
	r.deadlocks = deadlocks
	events := recorder.Events()
	result := verify.Check(verify.Run{Events: events, Tables: tables, Limits: r.fault.Limits})
	if unrested != nil { // a device that could not go on may have met what is broken; that it has not everything says nothing
		result.Violations = slices.DeleteFunc(result.Violations, func(v verify.Violation) bool { return v.Rule == verify.RuleView || v.Rule == verify.RuleDelay })
		if len(result.Violations) == 0 {
			return "", unrested
		}
	}
	load.Close()
	grown, err := r.grown(ctx)
	if err != nil {
		return "", err
	}
	result.Violations = append(append(result.Violations, r.crashes()...), grown...)
	if broke > 0 && r.fault.NoDeadlock {
		result.Violations = append(result.Violations, verify.Violation{Rule: verify.RuleResources, Detail: fmt.Sprintf("the database broke %d deadlocks", broke)})
	}
	r.state.Sums.Cycles += n
	r.state.Sums.Sending += sending
	r.state.Sums.add(result, recovered(events, blows))
	if err := result.Proves(); err != nil {
		return "", err
	}
	s := result.Stats
	r.say("%d of %d cycles: %d sends in %d tries, %d unknown, %d refused, %d delivered, %d events checked, %d deadlocks, %d sends undone, %d steps back, %d violations", r.state.Sums.Cycles, r.Cycles,
		s.Accepted, s.Tries, s.Unknown, s.Refused, s.Deliveries, s.Events, r.state.Sums.Deadlocks, s.Undone, s.Resets, len(result.Violations))
	if result.OK() {
		if r.Keep {
			r.keep("kept")
		}
		return "", nil
	}
	for i, violation := range result.Violations {
		if i == 10 {
			r.say("… and more")
			break
		}
		r.say("VIOLATION %s", violation)
	}
	damage, err := r.deployment.Damage(ctx)
	if err != nil {
		return "", err
	}
	for _, table := range damage {
		r.say("MariaDB itself finds its tables broken: %s", table)
	}
	if err := writeJSON(filepath.Join(r.dir, "violations.json"), result); err != nil {
		return "", err
	}
	if err := writeJSON(filepath.Join(r.dir, "tables.json"), tables); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, seed %d, cycle %d at most: %s; history and logs are in %s", r.fault.Name, r.state.Seed, r.state.Sums.Cycles, result.Violations[0], r.keep("broken")), nil
}

// cycle injects the fault once.
func (r *run) cycle(ctx context.Context, random *rand.Rand, recorder *verify.Recorder, load *Load) (b blow, err error) {
	end := func() {}
	s := &Strike{Deployment: r.deployment, Rand: random, Short: r.Short, Load: load, Keep: recorder.Keep}
	s.note = func(what string) { end = recorder.Fault(what, r.fault.limit()) }
	s.hit = func(victim *Node) {
		b.at = recorder.Now()
		if victim != nil {
			b.node = victim.URL
		}
	}
	err = r.fault.Strike(ctx, s)
	end()
	return b, err
}

// usage reads what the nodes use.
func (r *run) usage() verify.Usage {
	u := verify.Usage{Timeout: metricsPatience}
	for _, node := range r.deployment.Nodes {
		u.Pages = append(u.Pages, node.Ops+"/metrics")
	}
	return u
}

// grown is what nodes without clients have kept beyond what they had before the first ones came.
func (r *run) grown(ctx context.Context) ([]verify.Violation, error) {
	for _, node := range r.deployment.Nodes {
		if err := node.Collect(ctx); err != nil {
			return nil, err
		}
	}
	growth, err := r.usage().Growth(ctx, r.idle)
	if err != nil {
		return nil, fmt.Errorf("what the nodes keep: %w", err)
	}
	return verify.Check(verify.Run{Resources: growth}).Violations, nil
}

// crashes are the panics and data races in the nodes' logs, each a broken promise of its own.
func (r *run) crashes() []verify.Violation {
	var found []verify.Violation
	for _, node := range r.deployment.Nodes {
		text, err := os.ReadFile(node.log)
		if err != nil {
			found = append(found, verify.Violation{Rule: verify.RuleResources, Detail: "log of " + node.Name + ": " + err.Error()})
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			line := lines.Text()
			if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "WARNING: DATA RACE") || strings.Contains(line, "panic") && strings.Contains(line, "level=ERROR") {
				found = append(found, verify.Violation{Rule: verify.RuleResources, Detail: node.Name + " crashed: " + line})
			}
		}
	}
	return found
}

// keep moves the round's history and logs, and the databases' data, out of the folder that ends with the run.
func (r *run) keep(as string) string {
	path := filepath.Join(r.Out, fmt.Sprintf("%s-%s-%d-%d", as, r.fault.Name, r.state.Seed, r.state.Rounds))
	err := errors.Join(os.RemoveAll(path), os.MkdirAll(path, 0o700))
	names := []string{"history.jsonl", "violations.json", "tables.json", "logs", "mariadb/mariadb.log", "redis/redis.log"}
	if as == "broken" {
		names = append(names, "mariadb/data") // to ask the database itself: CHECK TABLE … EXTENDED
	}
	for _, name := range names {
		if _, missing := os.Stat(filepath.Join(r.dir, name)); missing == nil {
			err = errors.Join(err, exec.Command("cp", "-r", filepath.Join(r.dir, name), path).Run()) //nolint:noctx // a copy on this machine
		}
	}
	if err != nil {
		r.say("could not keep everything: %v", err)
	}
	return path
}
