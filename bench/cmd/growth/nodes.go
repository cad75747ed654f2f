package main

import (
	"context"
	"errors"

	"ackbox/bench"
)

// nodes measures sends with more and more processes. Users take the nodes in turn and each sends to the next one: with two nodes
// or more, sender and receiver are on different nodes, and every push goes through the relay. All processes share this machine, so
// it shows what the relay costs, and not what another machine brings.
func (g *growth) nodes(ctx context.Context, dir string, out *dimension) (err error) {
	out.What = "processes on this machine"
	d, err := g.deploy(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.fill(ctx, g.Base); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		s := newStep(n, digits(float64(n)))
		out.Steps = append(out.Steps, s)
		if err := d.serve(ctx, n); err != nil {
			return err
		}
		chosen, err := spread(d.people.size(), g.Clients, nil)
		if err != nil {
			return err
		}
		o := d.options()
		users, err := d.join(ctx, o, chosen, 0, 0)
		if err != nil {
			return err
		}
		o.Accounts = bench.NewAccounts(users, nil)
		if err := d.measure(ctx, s, o, "send", "rate"); err != nil {
			return err
		}
	}
	return nil
}
