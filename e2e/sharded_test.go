package e2e

import (
	"net/http"
	"testing"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// TestShardedRelay runs two nodes on a Redis Cluster: what needs Redis works there too.
func TestShardedRelay(t *testing.T) {
	t.Parallel()
	stores := append(storeEnv(testenv.MySQL(t), testenv.StartRedisCluster(t).URLs()), "ACKBOX_REDIS_SHARDED=on")
	settings := []string{"ACKBOX_RATE_LIMIT=on", "ACKBOX_LIMIT_LOGIN=4/1h"}
	a, b := mariaDB.startOn(t, stores, settings...), mariaDB.startOn(t, stores, settings...)
	for _, behaviour := range []struct {
		name string
		run  func(t *testing.T, a, b *system)
	}{
		{"a send there reaches a socket here", crossSend},
		{"the same device connecting there closes here", crossReplace},
		{"a logout there closes here", crossLogout},
		{"a logout there is known here", crossRefusal},
		{"a ticket from there opens here", crossTicket},
		{"racing sends with one key", crossRacingKey},
		{"guesses count together", func(t *testing.T, a, b *system) {
			together(t, func() error {
				name := freshName()
				for i := range 4 {
					if err := guess(t, []*system{a, b}[i%2], name, "invalid_credentials"); err != nil {
						return err
					}
				}
				return guess(t, b, name, "rate_limited")
			})
		}},
	} {
		t.Run(behaviour.name, func(t *testing.T) { behaviour.run(t, a, b) })
	}
}

// crossRefusal: who logged out at one node is refused at the other, by the relay at once and at the latest when it has
// read what ended, every 5 s.
func crossRefusal(t *testing.T, a, b *system) {
	bob := a.user(t)
	there := bob.at(b)
	if _, err := there.Mailbox(within(t, patience), 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Logout(within(t, patience)); err != nil {
		t.Fatalf("logout: %v", err)
	}
	ctx := within(t, patience)
	for {
		_, err := there.Mailbox(ctx, 0, 1)
		if problem, ok := client.AsProblem(err); ok && problem != nil {
			refused(t, err, "token_revoked", http.StatusUnauthorized)
			return
		}
		if err != nil {
			t.Fatalf("the token still works at the other node: %v", err)
		}
	}
}
