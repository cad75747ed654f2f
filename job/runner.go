// Package job is time: a cron runner and what runs on it. A job runs once a tick
// however slow it is, survives a panic, and has stopped when Stop returns.
package job

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
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
}

// NewRunner makes a runner; its figures go to the registry.
func NewRunner(log *slog.Logger, registry prometheus.Registerer) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{
		ctx: ctx, cancel: cancel, log: log,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "job_runs_total", Help: "Runs of jobs, by outcome: ok, error, panic or skipped."}, []string{"job", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "ackbox", Name: "job_seconds", Help: "Time of a run.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10)}, []string{"job"}),
	}
	registry.MustRegister(r.runs, r.took)
	r.cron = cron.New()
	return r
}

// Add schedules a job. Skipping stands outside of the recovery: inside of it a panic would
// leave the job marked as running for ever.
func (r *Runner) Add(j Job) {
	running := make(chan struct{}, 1)
	r.cron.Schedule(cron.Every(j.Every), cron.FuncJob(func() {
		select {
		case running <- struct{}{}:
		default:
			r.runs.WithLabelValues(j.Name, "skipped").Inc()
			return
		}
		defer func() { <-running }()
		r.once(j)
	}))
}

func (r *Runner) once(j Job) {
	start := time.Now()
	outcome := "ok"
	defer func() {
		if cause := recover(); cause != nil {
			outcome = "panic"
			r.log.Error("job panicked", "job", j.Name, "error", fmt.Sprint(cause))
		}
		r.runs.WithLabelValues(j.Name, outcome).Inc()
		r.took.WithLabelValues(j.Name).Observe(time.Since(start).Seconds())
	}()
	if err := j.Run(r.ctx); err != nil && r.ctx.Err() == nil {
		outcome = "error"
		r.log.Warn("job failed", "job", j.Name, "error", err)
	}
}

// Start begins to tick.
func (r *Runner) Start() { r.cron.Start() }

// Stop ends the ticks, cancels what runs and waits for it.
func (r *Runner) Stop() {
	stopped := r.cron.Stop()
	r.cancel()
	<-stopped.Done()
}
