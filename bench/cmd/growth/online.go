package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"ackbox/bench"
)

// maxSocketsAUser is how many devices the server allows an account.
const maxSocketsAUser = 100

// online measures sends beside more and more sockets that only wait.
func (g *growth) online(ctx context.Context, dir string, out *dimension) (err error) {
	out.What = "idle sockets beside the load"
	d, err := g.deploy(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	waiters := (g.Online[len(g.Online)-1] + g.SocketsAUser - 1) / g.SocketsAUser
	if err := d.fill(ctx, max(g.Base, fullBlocks(g.Clients+waiters))); err != nil {
		return err
	}
	out.Setup["Idle sockets"] = fmt.Sprintf("%d a user", g.SocketsAUser)
	// Each step has a process of its own: what the step before took is not in its memory.
	for _, sockets := range g.Online {
		s := newStep(sockets, digits(float64(sockets)))
		out.Steps = append(out.Steps, s)
		if err := d.serve(ctx, 1); err != nil {
			return err
		}
		if err := d.beside(ctx, s, sockets); err != nil {
			return err
		}
		s.aSocket(out.Steps[0])
	}
	return nil
}

// aSocket gives what an idle socket takes: what a step took more than the first, divided by its sockets.
func (s *step) aSocket(first *step) {
	more := s.Size - first.Size
	if more <= 0 {
		return
	}
	s.Figures["idle/rss_kb_a_socket"] = (s.Figures["idle/rss_mb"] - first.Figures["idle/rss_mb"]) * 1024 / more
	for _, name := range []string{"server", "mariadb", "redis"} {
		figure := "idle/" + name + "_cpu_us_a_s"
		if now, ok := s.Figures[figure]; ok {
			s.Figures["idle/"+name+"_cpu_us_a_socket_s"] = (now - first.Figures[figure]) / more
		}
	}
}

// calmPatience bounds the wait until what opening sockets sets off (telling others who is online) is over.
const calmPatience = 2 * time.Minute

// calm waits until the server asks the database little more than its jobs do for so many users.
func (d *deployment) calm(ctx context.Context, sockets int) error {
	limit := 50 + int64(sockets)/100
	stop := bench.Progress(d.growth.live, func() string { return "the server comes to rest" })
	defer stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, quiet := int64(-1), 0
	for deadline := time.Now().Add(calmPatience); quiet < 3; {
		var name string
		var asked int64
		if err := d.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &asked); err != nil {
			return err
		}
		if quiet++; last < 0 || asked-last > limit {
			quiet = 0
		}
		last = asked
		if time.Now().After(deadline) {
			d.growth.note(fmt.Sprintf("the server has not come to rest within %s; its idle figures are too high", calmPatience))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// idleWatch is how long the processes are watched while nothing is sent. What a node does for its users, it does every 15 seconds
// or more often.
const idleWatch = 15 * time.Second

// watchIdle puts the CPU time that the processes take while nothing is sent, in microseconds a second, into the step.
func watchIdle(ctx context.Context, s *step, o bench.Options) error {
	pids := map[string]int{"server": o.ServerPID}
	maps.Copy(pids, o.Processes)
	before := map[string]time.Duration{}
	for name, pid := range pids {
		if used, ok := bench.ProcessTime(pid); ok {
			before[name] = used
		}
	}
	timer := time.NewTimer(idleWatch)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	for name, start := range before {
		if used, ok := bench.ProcessTime(pids[name]); ok {
			s.Figures["idle/"+name+"_cpu_us_a_s"] = float64((used - start).Microseconds()) / idleWatch.Seconds()
		}
	}
	return nil
}

// beside runs the load while so many sockets wait.
func (d *deployment) beside(ctx context.Context, s *step, sockets int) error {
	o := d.options()
	clients, err := spread(d.people.size(), d.growth.Clients, nil)
	if err != nil {
		return err
	}
	users, err := d.join(ctx, o, clients, 0, 0)
	if err != nil {
		return err
	}
	o.Accounts = bench.NewAccounts(users, nil)
	if sockets > 0 {
		but := map[int]bool{}
		for _, n := range clients {
			but[n] = true
		}
		waiters, err := spread(d.people.size(), (sockets+d.growth.SocketsAUser-1)/d.growth.SocketsAUser, but)
		if err != nil {
			return err
		}
		crowd, err := d.join(ctx, o, waiters, len(users), 0)
		if err != nil {
			return err
		}
		if err := d.people.idleDevices(ctx, d.db, waiters, d.growth.SocketsAUser); err != nil {
			return err
		}
		idle := o
		idle.Connections = sockets
		held, err := bench.Hold(ctx, idle, crowd)
		if err != nil {
			return err
		}
		defer held.Close()
		defer func() { s.Figures["idle/open"] = float64(held.Open()) }()
	}
	if err := d.calm(ctx, sockets); err != nil {
		return err
	}
	if err := d.flush(ctx); err != nil { // what opening the sockets has written
		return err
	}
	if err := watchIdle(ctx, s, o); err != nil {
		return err
	}
	if err := d.measure(ctx, s, o, "rate", "send"); err != nil {
		return err
	}
	rss, err := bench.ResidentMemory(o.ServerPID)
	s.Figures["idle/rss_mb"] = float64(rss) / (1 << 20)
	return err
}
