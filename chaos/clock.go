package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A node whose clock can be stepped is the product's own source, compiled with two files laid over it (go build -overlay):
// the standard library's time.go, where Now adds a step to the wall clock and leaves the monotonic one alone, as the
// kernel does; and one more file of package main that reads the step from a file at SIGUSR1. The product knows nothing of it.
const (
	stepVariable = "ACKBOX_CHAOS_CLOCK"
	stepFile     = "clock-step"
)

const steppedNow = `	sec, nsec, mono := runtimeNow()
	sec += ChaosStep.Load()
`

const stepper = `package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func init() {
	steps := make(chan os.Signal, 1)
	signal.Notify(steps, syscall.SIGUSR1)
	go func() {
		for range steps {
			text, err := os.ReadFile(os.Getenv("` + stepVariable + `"))
			if err != nil {
				panic(err)
			}
			seconds, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil {
				panic(err)
			}
			time.ChaosStep.Store(seconds)
		}
	}()
}
`

// buildStepped builds the binary with the clock that can be stepped from the source in root. It compiles the standard library
// too: some minutes the first time.
func buildStepped(ctx context.Context, root, dir, bin string) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(out)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return fmt.Errorf("the clock: %w", err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	const imports = "\t\"math/bits\"\n"
	source := string(text)
	if strings.Count(source, now) != 1 || strings.Count(source, imports) != 1 {
		return errors.New("this Go's time.Now is not as known: chaos/clock.go must learn it")
	}
	source = strings.Replace(source, now, "// ChaosStep is added to the wall clock, in seconds.\nvar ChaosStep atomic.Int64\n\nfunc Now() Time {\n"+steppedNow, 1)
	source = strings.Replace(source, imports, imports+"\t\"sync/atomic\"\n", 1)
	clock, extra, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "stepper.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: clock, filepath.Join(root, "chaos_stepper.go"): extra}})
	if err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	for path, content := range map[string]string{clock: source, extra: stepper, overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return fmt.Errorf("overlay: %w", err)
		}
	}
	return build(ctx, root, bin, "-overlay="+overlay)
}

func build(ctx context.Context, root, bin string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", bin, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ackbox in %s: %w\n%s", root, err, out)
	}
	return nil
}

// StepClock sets how far the node's wall clock is from the true one, and returns when its answers are dated so.
func (n *Node) StepClock(ctx context.Context, by time.Duration) error {
	if err := os.WriteFile(filepath.Join(n.dir, stepFile), []byte(strconv.FormatInt(int64(by/time.Second), 10)), 0o600); err != nil {
		return fmt.Errorf("step the clock of %s: %w", n.Name, err)
	}
	if err := n.process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for {
		off, err := n.clockOff(ctx)
		if err == nil && (off-by).Abs() < time.Minute {
			return nil
		}
		if waited := wait(ctx, 20*time.Millisecond); waited != nil {
			return fmt.Errorf("the clock of %s is %s off, want %s: %w", n.Name, off, by, errors.Join(waited, err))
		}
	}
}

// clockOff is how far the date of the node's answers is from ours; whole seconds.
func (n *Node) clockOff(ctx context.Context) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+"/healthz", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("ask for the date: %w", err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask for the date: %w", err)
	}
	defer response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("the node's date: %w", err)
	}
	return time.Until(date), nil
}
