package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// operator is what the admin token is for: accounts that are made although nobody may register, and shut out in the end; and
// the word of the deployment which nodes the run has met.
type operator struct {
	admin *client.Admin
	http  *client.Client
}

// newOperator is nil without a token. Close it.
func newOperator(o Options) *operator {
	if o.AdminToken == "" {
		return nil
	}
	url := o.AdminURL
	if url == "" {
		url = o.URL[0]
	}
	c := client.New(url)
	return &operator{c.Admin(o.AdminToken), c}
}

func (p *operator) close() {
	if p != nil {
		p.http.Close()
	}
}

// Met is a node of the deployment, and how many sockets of the run it had when all were open.
type Met struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Version string `json:"version"`
	Sockets int    `json:"sockets"`
}

// check says whether the token is good for anything.
func (p *operator) check(ctx context.Context) error {
	_, err := p.admin.Nodes(ctx)
	if problem, ok := client.AsProblem(err); ok {
		return fmt.Errorf("%s does not take the admin token (%s): it has to be a fresh access token of an account of the role admin, and --admin-url the address below which /v1/admin is", p.http.Base(), problem.Code)
	}
	return err
}

// register makes an account and signs in. That it is there already is the answer of an earlier try.
func (p *operator) register(c *Cluster) func(context.Context, client.Credentials) (*Account, error) {
	return func(ctx context.Context, who client.Credentials) (*Account, error) {
		session, err := c.anywhere(ctx, func(n *client.Client) (*client.Session, error) {
			err := p.admin.CreateUser(ctx, who)
			if problem, ok := client.AsProblem(err); err != nil && (!ok || problem.Code != "username_taken") {
				return nil, err
			}
			return n.Login(ctx, who)
		})
		if err != nil {
			return nil, fmt.Errorf("make the account %s: %w", who.Username, err)
		}
		return newAccount(c, who, session), nil
	}
}

// met asks where the accounts' sockets are.
func (p *operator) met(ctx context.Context, accounts []*Account) ([]Met, error) {
	nodes, err := p.admin.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the nodes: %w", err)
	}
	var mu sync.Mutex
	sockets := map[string]int{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registering)
	for _, account := range accounts {
		group.Go(func() error {
			list, err := p.admin.Sockets(ctx, account.ID())
			if err != nil {
				return fmt.Errorf("ask where the sockets are: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, s := range list {
				sockets[s.Node]++
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var list []Met
	for _, n := range nodes {
		if n.State == "up" {
			list = append(list, Met{n.Node, n.Address, n.Version, sockets[n.Node]})
		}
	}
	return list, nil
}

// retire shuts accounts out; what they wrote stays.
func (p *operator) retire(ctx context.Context, accounts []*Account) error {
	group := errgroup.Group{}
	group.SetLimit(registering)
	for _, account := range accounts {
		group.Go(func() error { return p.admin.Ban(ctx, account.ID(), "an account of ackbox verify") })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("accounts of the run could not be shut out: %w", err)
	}
	return nil
}

// unmet are the notes about nodes that no socket was at.
func unmet(nodes []Met) (notes []string) {
	for _, n := range nodes {
		if n.Sockets == 0 {
			notes = append(notes, fmt.Sprintf("node %s (%s) had no socket of this run, so nothing is said about it: give its address too", n.Node, n.Address))
		}
	}
	return notes
}

// places are the nodes in the table.
func places(nodes []Met) string {
	list := make([]string, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, fmt.Sprintf("%s at %s: %d", n.Node, n.Address, n.Sockets))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
