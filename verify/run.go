package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

const (
	// registering is how many accounts are registered at a time: hashing a password is costly for the server by design.
	registering = 4
	// namePrefix marks the accounts of a run.
	namePrefix = "verify-"
	// readyPatience bounds the wait for the first connections.
	readyPatience = 60 * time.Second
)

// Report is what a run has found.
type Report struct {
	Run      string        `json:"run"` // what the accounts' names and the messages begin with
	Nodes    []string      `json:"nodes"`
	Began    time.Time     `json:"began"`
	Duration time.Duration `json:"duration_ns"`
	Users    int           `json:"users"`
	Devices  int           `json:"devices"`
	Groups   int           `json:"groups"`
	LogGroup bool          `json:"log_group"`     // a group that is delivered by log was among them
	Met      []Met         `json:"met,omitempty"` // the deployment's nodes; with an admin token
	Notes    []string      `json:"notes,omitempty"`
	Result
}

// Verify drives a deployment with actors for a while and checks what came of it. An error says that there is no verdict.
// live is where progress is shown; nil for nowhere.
func Verify(ctx context.Context, o Options, live io.Writer) (report *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var out io.Writer
	if o.History != "" {
		f, err := os.OpenFile(o.History, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	recorder := NewRecorder(o.Capacity, out)
	cluster := NewCluster(o.URL, recorder)
	defer cluster.Close()
	operator := newOperator(o)
	defer operator.close()
	r := &run{o: o, live: live, operator: operator, cluster: cluster, recorder: recorder, report: &Report{
		Run: namePrefix + strings.ToLower(rand.Text()[:8]), Nodes: o.URL, Began: time.Now().UTC(), Duration: o.Duration,
	}}
	return r.report, r.all(ctx)
}

// run is a verification under way.
type run struct {
	o        Options
	live     io.Writer
	operator *operator // nil without an admin token
	cluster  *Cluster
	recorder *Recorder
	report   *Report

	accounts []*Account // those with actors
	crowd    []*Account // those that only fill the large group
	actors   []*Actor
	traffic  *traffic
}

// all does everything in its order.
func (r *run) all(ctx context.Context) error {
	if err := r.probe(ctx); err != nil {
		return err
	}
	if err := r.people(ctx); err != nil {
		return err
	}
	defer r.retire(ctx)
	usage := Usage{r.o.Metrics, r.o.AdminToken, r.o.Timeout}
	begin, err := usage.Samples(ctx)
	if err != nil {
		return err
	}
	if err := r.connect(ctx); err != nil {
		r.stop()
		return err
	}
	if err = r.meet(ctx); err == nil {
		err = r.drive(ctx)
	}
	r.stop()
	if err != nil {
		return err
	}
	stop := progress(r.live, func() string { return "verify: reading what is stored" })
	tables, err := r.cluster.Read(ctx, r.accounts)
	stop()
	if err != nil {
		return fmt.Errorf("what is stored could not be read, so there is no verdict: %w", err)
	}
	growth, err := usage.Growth(ctx, begin)
	if err != nil {
		return err
	}
	if err := r.recorder.Err(); err != nil {
		return fmt.Errorf("no verdict: %w", err)
	}
	r.report.Result = Check(Run{Events: r.recorder.Events(), Tables: tables, Resources: growth, Limits: Limits{Delay: r.o.DelayLimit}})
	return r.report.Proves()
}

// probe asks every node whether it is there and speaks the contract.
func (r *run) probe(ctx context.Context) error {
	for _, node := range r.cluster.nodes {
		ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
		answer, err := node.Do(ctx, client.Request{Method: http.MethodGet, Path: "/v1/users/me"})
		cancel()
		if err != nil {
			return fmt.Errorf("%s does not answer: %w\nis the address right, and does the service run there?", node.Base(), err)
		}
		if problem, err := answer.Problem(); err != nil || problem.Status != http.StatusUnauthorized {
			return fmt.Errorf("%s answers, but not as Ackbox does (status %d); give the address below which /v1 begins", node.Base(), answer.Status)
		}
	}
	if r.operator != nil {
		return r.operator.check(ctx)
	}
	return nil
}

// people registers the accounts of the run, or signs in to those of the file.
func (r *run) people(ctx context.Context) error {
	register := r.cluster.Register
	if r.operator != nil {
		register = r.operator.register(r.cluster)
	}
	who, sign := r.credentials(r.o.Users, ""), register
	if r.o.UsersFile != "" {
		var err error
		if who, err = readUsers(r.o.UsersFile); err != nil {
			return err
		}
		sign = r.cluster.Login
	}
	extra := r.credentials(max(r.o.LogGroup-len(who), 0), "x")
	var done atomic.Int64
	stop := progress(r.live, func() string {
		return fmt.Sprintf("verify: %d of %d accounts", done.Load(), len(who)+len(extra))
	})
	defer stop()
	var err error
	if r.accounts, err = r.signIn(ctx, who, sign, &done); err != nil {
		return err
	}
	r.crowd, err = r.signIn(ctx, extra, register, &done)
	return err
}

// meet asks an operator which nodes the sockets are at.
func (r *run) meet(ctx context.Context) (err error) {
	if r.operator == nil {
		return nil
	}
	if r.report.Met, err = r.operator.met(ctx, r.accounts); err != nil {
		return err
	}
	r.report.Notes = append(r.report.Notes, unmet(r.report.Met)...)
	return nil
}

// retire has an operator shut out the accounts that this run has made.
func (r *run) retire(ctx context.Context) {
	if r.operator == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyPatience)
	defer cancel()
	made := r.crowd
	if r.o.UsersFile == "" {
		made = slices.Concat(made, r.accounts)
	}
	if err := r.operator.retire(ctx, made); err != nil {
		r.report.Notes = append(r.report.Notes, err.Error())
	}
}

func (r *run) credentials(n int, mark string) []client.Credentials {
	list := make([]client.Credentials, n)
	for i := range list {
		list[i] = client.Credentials{Username: fmt.Sprintf("%s-%s%d", r.report.Run, mark, i), Password: rand.Text(), DisplayName: "ackbox verify"}
	}
	return list
}

func (r *run) signIn(ctx context.Context, who []client.Credentials, sign func(context.Context, client.Credentials) (*Account, error), done *atomic.Int64) ([]*Account, error) {
	accounts := make([]*Account, len(who))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registering)
	for i := range who {
		group.Go(func() (err error) {
			accounts[i], err = sign(ctx, who[i])
			done.Add(1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if signedOut(err) {
			err = fmt.Errorf("%w; look at the names and passwords in the users file", err)
		}
		return nil, err
	}
	return accounts, nil
}

// connect opens the devices: one for each account, at the nodes in turn, and for every other account a second one at
// the next node.
func (r *run) connect(ctx context.Context) error {
	for i, account := range r.accounts {
		o := ActorOptions{Device: "verify-a", Node: i, Timeout: r.o.Timeout, Patience: r.o.Settle}
		r.actors = append(r.actors, NewActor(ctx, account, o))
		if i%2 == 0 {
			o.Device, o.Node = "verify-b", i+1
			r.actors = append(r.actors, NewActor(ctx, account, o))
		}
	}
	r.report.Users, r.report.Devices = len(r.accounts), len(r.actors)
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for _, a := range r.actors {
		if err := a.Ready(ctx); err != nil {
			return fmt.Errorf("a WebSocket could not be opened within %s: %w\ndoes what stands before the nodes let WebSockets through?", readyPatience, err)
		}
	}
	return nil
}

// drive makes the traffic, and lets the devices catch up.
func (r *run) drive(ctx context.Context) error {
	t, err := newTraffic(ctx, r)
	if err != nil {
		return err
	}
	r.traffic = t
	until := time.Now().Add(r.o.Duration)
	stop := progress(r.live, func() string {
		left := max(time.Until(until), 0)
		return fmt.Sprintf("verify: %s %3.0f s left, %d sends, %d events", bar(1-left.Seconds()/r.o.Duration.Seconds()), left.Seconds(), t.sends.Load(), r.recorder.Len())
	})
	t.run(ctx, until)
	stop()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped before the end, so there is no verdict: %w", err)
	}
	var drained atomic.Int64
	stop = progress(r.live, func() string {
		return fmt.Sprintf("verify: %d of %d devices have everything", drained.Load(), len(r.actors))
	})
	defer stop()
	limit, cancel := context.WithTimeout(ctx, r.o.Settle)
	defer cancel()
	group := errgroup.Group{}
	group.SetLimit(readers)
	for _, a := range r.actors {
		group.Go(func() error {
			err := a.Drain(limit)
			drained.Add(1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("a device could not catch up within %s: %v", r.o.Settle, err))
	}
	return nil
}

// stop ends the actors.
func (r *run) stop() {
	for _, a := range r.actors {
		a.cancel()
	}
	for _, a := range r.actors {
		a.Stop()
	}
	r.actors = nil
}
