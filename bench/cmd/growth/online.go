package main

import (
	"context"
	"errors"

	"ackbox/bench"
)

// socketsAUser is how many idle sockets an account has, each as a device of its own; the server allows 100.
const socketsAUser = 100

// online measures sends beside more and more sockets that only wait.
func (g *growth) online(ctx context.Context, dir string, out *dimension) (err error) {
	out.What = "idle sockets beside the load"
	d, err := g.deploy(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.fill(ctx, g.Base); err != nil {
		return err
	}
	// Each step has a process of its own: what the step before took is not in its memory.
	var first float64
	for _, sockets := range g.Online {
		s := newStep(sockets, digits(float64(sockets)))
		out.Steps = append(out.Steps, s)
		if err := d.serve(ctx, 1); err != nil {
			return err
		}
		if err := d.beside(ctx, s, sockets); err != nil {
			return err
		}
		if len(out.Steps) == 1 {
			first = s.Figures["idle/rss_mb"]
		} else if before := out.Steps[0].Size; float64(sockets) > before {
			s.Figures["idle/rss_kb_a_socket"] = (s.Figures["idle/rss_mb"] - first) * 1024 / (float64(sockets) - before)
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
		waiters, err := spread(d.people.size(), (sockets+socketsAUser-1)/socketsAUser, but)
		if err != nil {
			return err
		}
		crowd, err := d.join(ctx, o, waiters, len(users), 0)
		if err != nil {
			return err
		}
		if err := d.people.idleDevices(ctx, d.db, waiters); err != nil {
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
	if err := d.measure(ctx, s, o, "rate", "send"); err != nil {
		return err
	}
	rss, err := bench.ResidentMemory(o.ServerPID)
	s.Figures["idle/rss_mb"] = float64(rss) / (1 << 20)
	return err
}
