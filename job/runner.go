// Package job is time: a cron runner and what runs on it. A job runs once a tick
// however slow it is, survives a panic, and has stopped when Stop returns.
package job

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"

	"ackbox/model"
	"ackbox/service"
)

// Job is something that is done again and again. Its ctx ends at shutdown; an error
// is logged and the next tick tries again.
type Job struct {
	Name  string
	Every time.Duration // at least a second: robfig/cron's resolution
	Run   func(ctx context.Context) error
}

// Runner runs jobs.
type Runner struct {
	cron   *cron.Cron
	ctx    context.Context
	cancel context.CancelFunc
	log    *slog.Logger
	runs   *prometheus.CounterVec
	took   *prometheus.HistogramVec
	every  *prometheus.GaugeVec
	done   *prometheus.GaugeVec

	mu      sync.Mutex
	jobs    map[string]*scheduled
	stopped bool
	asked   sync.WaitGroup // runs that Soon has begun

	wall    func() time.Time  // the wall clock, which somebody may step
	former  []context.Context // end when what the ticks of before a step began has ended
	unwatch chan struct{}     // closed at Stop
	watched sync.WaitGroup
}

// scheduled is a job that runs once at a time.
type scheduled struct {
	Job
	running chan struct{} // holds one while it runs
	asked   chan struct{} // holds one while a run beside the ticks waits to begin

	mu    sync.Mutex
	state service.JobState
}

// begun and ended keep what operators see.
func (s *scheduled) begun(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Running, s.state.LastRunAt = true, model.MillisOf(at)
}

func (s *scheduled) ended(took time.Duration, outcome, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Running, s.state.LastDuration, s.state.LastOutcome, s.state.LastError = false, took, outcome, problem
	s.state.Runs++
	if outcome != "ok" {
		s.state.Failures++
	}
}

// maxJobError bounds what is kept of a job's error, in bytes.
const maxJobError = 500

// NewRunner makes a runner; its figures go to the registry.
func NewRunner(log *slog.Logger, registry prometheus.Registerer) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		jobs: map[string]*scheduled{}, wall: time.Now, unwatch: make(chan struct{}),
		ctx: ctx, cancel: cancel, log: log,
		runs:  prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "job_runs_total", Help: "Runs of jobs, by outcome: ok, error, panic or skipped."}, []string{"job", "outcome"}),
		took:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "ackbox", Name: "job_seconds", Help: "Time of a run.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10)}, []string{"job"}),
		every: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "ackbox", Name: "job_interval_seconds", Help: "How often a job is to run."}, []string{"job"}),
		done:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "ackbox", Name: "job_last_success_timestamp_seconds", Help: "When the last run without an error ended, as Unix time; before the first, when the server started."}, []string{"job"}),
	}
	registry.MustRegister(r.runs, r.took, r.every, r.done)
	r.cron = cron.New()
	return r
}

// Add schedules a job. Skipping stands outside of the recovery: inside of it a panic would
// leave the job marked as running for ever.
func (r *Runner) Add(j Job) {
	s := &scheduled{Job: j, running: make(chan struct{}, 1), asked: make(chan struct{}, 1), state: service.JobState{Name: j.Name, Every: j.Every}}
	r.mu.Lock()
	r.jobs[j.Name] = s
	r.mu.Unlock()
	r.every.WithLabelValues(j.Name).Set(j.Every.Seconds())
	r.done.WithLabelValues(j.Name).SetToCurrentTime()
	r.took.WithLabelValues(j.Name)
	for _, outcome := range []string{"ok", "error", "panic", "skipped"} {
		r.runs.WithLabelValues(j.Name, outcome) // at 0: of a series that begins with its first event, that event is lost to rate()
	}
	r.cron.Schedule(cron.Every(j.Every), cron.FuncJob(func() {
		select {
		case s.running <- struct{}{}:
		default:
			r.runs.WithLabelValues(j.Name, "skipped").Inc()
			return
		}
		defer func() { <-s.running }()
		r.once(s)
	}))
}

// Soon runs a job beside its ticks, once a run that is under way has ended: what the caller has
// seen happen, it sees. Asking again before it has begun, or after Stop, changes nothing.
func (r *Runner) Soon(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.jobs[name]
	if s == nil || r.stopped {
		return
	}
	select {
	case s.asked <- struct{}{}:
	default:
		return
	}
	r.asked.Go(func() {
		select {
		case s.running <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		defer func() { <-s.running }()
		<-s.asked
		r.once(s)
	})
}

func (r *Runner) once(s *scheduled) {
	j, start := s.Job, time.Now()
	outcome, problem := "ok", ""
	s.begun(start)
	defer func() {
		if cause := recover(); cause != nil {
			outcome, problem = "panic", cutError(fmt.Sprint(cause))
			r.log.Error("job panicked", "job", j.Name, "error", fmt.Sprint(cause))
		}
		r.runs.WithLabelValues(j.Name, outcome).Inc()
		r.took.WithLabelValues(j.Name).Observe(time.Since(start).Seconds())
		s.ended(time.Since(start), outcome, problem)
	}()
	if err := j.Run(r.ctx); err != nil && r.ctx.Err() == nil {
		outcome, problem = "error", cutError(err.Error())
		r.log.Warn("job failed", "job", j.Name, "error", err)
		return
	}
	r.done.WithLabelValues(j.Name).SetToCurrentTime()
}

func cutError(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxJobError)], "")
}

// States are the jobs and how their last runs went, by name.
func (r *Runner) States() []service.JobState {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]service.JobState, 0, len(r.jobs))
	for _, name := range slices.Sorted(maps.Keys(r.jobs)) {
		s := r.jobs[name]
		s.mu.Lock()
		list = append(list, s.state)
		s.mu.Unlock()
	}
	return list
}

// RunNow is Soon, and says whether there is such a job.
func (r *Runner) RunNow(name string) bool {
	r.mu.Lock()
	known := r.jobs[name] != nil
	r.mu.Unlock()
	r.Soon(name)
	return known
}

// Start begins to tick.
func (r *Runner) Start() {
	r.cron.Start()
	r.watched.Go(r.watch)
}

// clockStep is by how much the wall clock must leave the monotonic one within a second to count as stepped; what NTP slews
// is a five-hundredth of it.
const clockStep = 250 * time.Millisecond

// watch begins the ticks anew when the wall clock has been stepped: robfig/cron waits for times of day, so after a step back
// by an hour no job would run for an hour.
func (r *Runner) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	day, at := r.wall().Round(0), time.Now() // Round(0) drops the monotonic reading
	for {
		select {
		case <-r.unwatch:
			return
		case <-tick.C:
		}
		step := r.wall().Round(0).Sub(day) - time.Since(at)
		day, at = r.wall().Round(0), time.Now()
		if step.Abs() > clockStep {
			r.log.Warn("the clock was stepped", "by", step.Round(time.Millisecond))
			r.tickAnew()
		}
	}
}

// tickAnew leaves what runs alone. It takes a new Cron: one that is started again while jobs of it run waits for them by a
// WaitGroup that is used anew, which panics.
func (r *Runner) tickAnew() {
	fresh := cron.New()
	for _, entry := range r.cron.Entries() {
		fresh.Schedule(entry.Schedule, entry.Job)
	}
	r.former = slices.DeleteFunc(r.former, func(ended context.Context) bool { return ended.Err() != nil })
	r.former = append(r.former, r.cron.Stop())
	r.cron = fresh
	r.cron.Start()
}

// Stop ends the ticks, cancels what runs and waits for it.
func (r *Runner) Stop() {
	close(r.unwatch)
	r.watched.Wait()
	stopped := r.cron.Stop()
	r.cancel()
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	<-stopped.Done()
	for _, ended := range r.former {
		<-ended.Done()
	}
	r.asked.Wait()
}
