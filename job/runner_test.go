package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/robfig/cron/v3"
)

// The tests run in bubbles with a fake clock: a second passes when nothing else can
// happen, so they take no time and nothing is left to chance.

func newRunner(t *testing.T) (*Runner, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	return NewRunner(slog.New(slog.NewTextHandler(&said, nil)), prometheus.NewRegistry()), &said
}

// pass lets time go by, up to just before the tick that is due then.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func outcome(t *testing.T, r *Runner, job, outcome string) float64 {
	t.Helper()
	var m dto.Metric
	if err := r.runs.WithLabelValues(job, outcome).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestEveryTick: each job runs at its own pace.
func TestEveryTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		var fast, slow atomic.Int64
		r.Add(Job{Name: "fast", Every: time.Second, Run: func(context.Context) error { fast.Add(1); return nil }})
		r.Add(Job{Name: "slow", Every: 5 * time.Second, Run: func(context.Context) error { slow.Add(1); return nil }})
		pass(3 * time.Second)
		equal(t, "runs before the start", fast.Load(), 0)
		r.Start()
		pass(20*time.Second + time.Millisecond)
		equal(t, "runs each second", fast.Load(), 20)
		equal(t, "runs each five seconds", slow.Load(), 4)
		r.Stop()
		pass(10 * time.Second)
		equal(t, "runs after the stop", fast.Load(), 20)
		equal(t, "runs counted", outcome(t, r, "fast", "ok"), 20)
	})
}

// TestSlowJob: a job that takes longer than its tick is never run twice at once, its
// missed ticks are not made up for, and others run meanwhile.
func TestSlowJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		var running, most, runs, others atomic.Int64
		r.Add(Job{Name: "slow", Every: time.Second, Run: func(ctx context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			runs.Add(1)
			select {
			case <-time.After(2500 * time.Millisecond):
			case <-ctx.Done():
			}
			return nil
		}})
		r.Add(Job{Name: "other", Every: time.Second, Run: func(context.Context) error { others.Add(1); return nil }})
		r.Start()
		pass(9*time.Second + time.Millisecond) // begins at 1, 4 and 7
		equal(t, "at once", most.Load(), 1)
		equal(t, "runs", runs.Load(), 3)
		equal(t, "skipped ticks", outcome(t, r, "slow", "skipped"), 6)
		equal(t, "runs of the other", others.Load(), 9)
		r.Stop()
	})
}

// TestPanickingJob is run again at its next tick, and says what happened.
func TestPanickingJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, said := newRunner(t)
		var runs atomic.Int64
		r.Add(Job{Name: "bad", Every: time.Second, Run: func(context.Context) error {
			switch runs.Add(1) {
			case 1:
				panic("in a job")
			case 2:
				return errors.New("no luck")
			}
			return nil
		}})
		r.Start()
		pass(4*time.Second + time.Millisecond)
		r.Stop()
		equal(t, "runs", runs.Load(), 4)
		for name, want := range map[string]float64{"panic": 1, "error": 1, "ok": 2, "skipped": 0} {
			equal(t, name, outcome(t, r, "bad", name), want)
		}
		for _, want := range []string{"in a job", "no luck", "job=bad"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("the log does not say %q: %s", want, said)
			}
		}
	})
}

// daily is a schedule as robfig/cron sees it after the clock was stepped: the times that it noted are of the day before.
type daily struct{ step *atomic.Int64 }

func (d daily) Next(now time.Time) time.Time {
	if step := time.Duration(d.step.Load()); step < 0 {
		return now.Add(time.Second)
	}
	return now.Add(time.Second + time.Hour) // what was a second ahead is an hour more, soon
}

// TestSteppedClock: a clock that is set back does not stop the jobs; one that goes as it should, or is slewed, changes nothing.
func TestSteppedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, said := newRunner(t)
		var step, runs atomic.Int64
		r.wall = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
		r.cron.Schedule(daily{&step}, cron.FuncJob(func() { runs.Add(1) }))
		r.Start()
		for range 100 {
			step.Add(int64(clockStep / 2)) // faster than any NTP
			pass(time.Second)
		}
		equal(t, "runs before", runs.Load(), 0)
		equal(t, "what was said", said.String(), "")
		step.Store(-int64(time.Hour))
		pass(5*time.Second + time.Millisecond)
		if n := runs.Load(); n < 3 {
			t.Errorf("%d runs in 5 s after the step", n)
		}
		equal(t, "said", strings.Count(said.String(), "the clock was stepped"), 1)
		r.Stop()
	})
}

// TestSteppedClockAndStop: a job that was begun before a step is awaited, and runs once at a time across it.
func TestSteppedClockAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		var step, running, ended atomic.Int64
		r.wall = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
		r.Add(Job{Name: "long", Every: time.Second, Run: func(ctx context.Context) error {
			if running.Add(1) > 1 {
				t.Error("runs twice at once")
			}
			defer running.Add(-1)
			<-ctx.Done()
			<-time.After(time.Minute) // tidies up
			ended.Add(1)
			return nil
		}})
		r.Start()
		for range 3 {
			pass(2 * time.Second)
			step.Add(int64(time.Hour))
		}
		pass(2 * time.Second)
		r.Stop()
		equal(t, "ended when Stop returned", ended.Load(), 1)
	})
}

// TestStop cancels what runs, waits for it, and begins nothing new; what a job says
// because of the stop is no failure.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, said := newRunner(t)
		began := make(chan struct{})
		var ended atomic.Bool
		r.Add(Job{Name: "long", Every: time.Second, Run: func(ctx context.Context) error {
			close(began) // a second run would panic
			<-ctx.Done()
			<-time.After(700 * time.Millisecond) // tidies up
			ended.Store(true)
			return ctx.Err()
		}})
		r.Start()
		<-began
		at := time.Now()
		r.Stop()
		equal(t, "the job had ended when Stop returned", ended.Load(), true)
		equal(t, "Stop took", time.Since(at), 700*time.Millisecond)
		pass(5 * time.Second)
		equal(t, "what was said", said.String(), "")
	})
}

// TestStopBeforeStart: a program that fails while it is being built stops what it has.
func TestStopBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		r.Add(Job{Name: "never", Every: time.Second, Run: func(context.Context) error { t.Error("it ran"); return nil }})
		r.Stop()
		pass(3 * time.Second)
	})
}

// TestSoon: a run that is asked for begins at once, or when the one under way has ended, and once however
// often it is asked for.
func TestSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		var runs atomic.Int64
		release := make(chan struct{})
		r.Add(Job{Name: "sweep", Every: time.Hour, Run: func(context.Context) error {
			runs.Add(1)
			<-release
			return nil
		}})
		r.Soon("nothing")
		r.Start()
		r.Soon("sweep")
		synctest.Wait()
		equal(t, "runs asked for", runs.Load(), 1)
		for range 3 {
			r.Soon("sweep")
		}
		synctest.Wait()
		equal(t, "runs while one is under way", runs.Load(), 1)
		release <- struct{}{}
		synctest.Wait()
		equal(t, "runs after it", runs.Load(), 2)
		close(release)
		synctest.Wait()
		equal(t, "runs in the end", runs.Load(), 2)
		r.Stop()
		r.Soon("sweep")
		synctest.Wait()
		equal(t, "runs after Stop", runs.Load(), 2)
	})
}

// TestStates: operators see how each job's last run went, and can begin another.
func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t)
		var problem error
		release := make(chan struct{})
		r.Add(Job{Name: "b", Every: time.Hour, Run: func(context.Context) error {
			<-release
			if problem == nil {
				panic("what")
			}
			return problem
		}})
		r.Add(Job{Name: "a", Every: time.Minute, Run: func(context.Context) error { return nil }})
		look := func() string {
			var text strings.Builder
			for _, s := range r.States() {
				fmt.Fprintf(&text, "%s %v running=%t %q %.8q runs=%d failures=%d took=%v at=%t;", s.Name, s.Every, s.Running, s.LastOutcome, s.LastError, s.Runs, s.Failures, s.LastDuration, s.LastRunAt != 0)
			}
			return text.String()
		}
		const unrun = `a 1m0s running=false "" "" runs=0 failures=0 took=0s at=false;`
		equal(t, "before", look(), unrun+`b 1h0m0s running=false "" "" runs=0 failures=0 took=0s at=false;`)
		equal(t, "a job that is not there", r.RunNow("c"), false)
		equal(t, "a job", r.RunNow("b"), true)
		synctest.Wait()
		equal(t, "while it runs", look(), unrun+`b 1h0m0s running=true "" "" runs=0 failures=0 took=0s at=true;`)
		pass(time.Second)
		release <- struct{}{}
		synctest.Wait()
		equal(t, "after a panic", look(), unrun+`b 1h0m0s running=false "panic" "what" runs=1 failures=1 took=1s at=true;`)
		problem = errors.New(strings.Repeat("é", 2*maxJobError))
		r.RunNow("b")
		release <- struct{}{}
		r.RunNow("a")
		synctest.Wait()
		equal(t, "after an error", look(), `a 1m0s running=false "ok" "" runs=1 failures=0 took=0s at=true;b 1h0m0s running=false "error" "éééééééé" runs=2 failures=2 took=0s at=true;`)
		equal(t, "what is kept of an error", len(r.States()[1].LastError) <= maxJobError, true)
		r.Stop()
	})
}
