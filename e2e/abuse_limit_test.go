package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// guesses bounds how many wrong passwords somebody may try before the server says no; the settings allow far fewer.
const guesses = 250

// TestAbuseGuessing: who guesses passwords is stopped by account, from however many addresses, and by address, for
// however many accounts; with Redis and without it.
func TestAbuseGuessing(t *testing.T) {
	t.Parallel()
	redis := testenv.StartRedis(t)
	settings := []string{"ACKBOX_RATE_LIMIT=on", "ACKBOX_REDIS_URL=" + redis.URL(), "ACKBOX_JWT_SECRET=" + secret, "ACKBOX_LIMIT_LOGIN=3/1h", "ACKBOX_LIMIT_LOGIN_ADDRESS=8/1h", "ACKBOX_LIMIT_REGISTER_ADDRESS=20/1h", "ACKBOX_LIMIT_REFRESH_ADDRESS=20/1h"}
	behind := embedded.start(t, append(settings, "ACKBOX_TRUSTED_PROXIES=127.0.0.1")...)
	direct := embedded.start(t, settings...)
	bob, carol := behind.user(t), behind.user(t)
	behind.guess(t, bob, carol, "203.0.113")
	behind.lockOut(t, behind.user(t), "192.0.2")
	direct.guessDirectly(t)
	redis.Kill()
	dave, erin := behind.user(t), behind.user(t)
	behind.guess(t, dave, erin, "198.51.100")
	behind.lockOut(t, behind.user(t), "100.64.0")
	direct2 := embedded.start(t, settings...) // comes up without Redis, with fresh buckets
	direct2.guessDirectly(t)
}

// post makes a public call from an address, as a trusted proxy tells it.
func (s *system) post(t *testing.T, path, address string, body any) client.Answer {
	t.Helper()
	request := client.Request{Method: http.MethodPost, Path: path, Body: body}
	if address != "" {
		request.Header = http.Header{"X-Forwarded-For": {address}}
	}
	answer, err := s.client.Do(within(t, patience), request)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// limited checks a refusal for too many calls.
func limited(t *testing.T, answer client.Answer) {
	t.Helper()
	problem, err := answer.Problem()
	if err != nil {
		t.Fatal(err)
	}
	if seconds, err := strconv.Atoi(problem.RetryAfter); problem.Code != "rate_limited" || err != nil || seconds < 1 {
		t.Fatalf("got %v with Retry-After %q, want rate_limited and some seconds", problem, problem.RetryAfter)
	}
}

// until429 repeats a call until it is limited, and says after how many; the others must have the status.
func until429(t *testing.T, what string, status int, call func(i int) client.Answer) int {
	t.Helper()
	for i := range guesses {
		answer := call(i)
		if answer.Status == http.StatusTooManyRequests {
			limited(t, answer)
			return i
		}
		if answer.Status != status {
			t.Fatalf("%s: got %d, want %d or 429: %.200s", what, answer.Status, status, answer.Body)
		}
	}
	t.Fatalf("%s: %d are let through", what, guesses)
	return 0
}

func (s *system) guess(t *testing.T, victim, other *actor, network string) {
	t.Helper()
	login := func(name, password string) map[string]string {
		return map[string]string{"username": name, "password": password}
	}
	n := until429(t, "one account from many addresses", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/login", fmt.Sprintf("%s.%d", network, i), login(victim.User.Username, fmt.Sprintf("wrong guess %d", i)))
	})
	t.Logf("one account: limited after %d", n)
	// In other letters it is the same account.
	limited(t, s.post(t, "/v1/auth/login", network+".251", login(upper(victim.User.Username), "wrong guess")))
	// An account that does not exist is limited alike.
	nobody := freshName()
	if m := until429(t, "nobody's account", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/login", fmt.Sprintf("%s.%d", network, 100+i), login(nobody, fmt.Sprintf("wrong guess %d", i)))
	}); m != n {
		t.Errorf("an account that does not exist is limited after %d guesses, one that does after %d", m, n)
	}
	// Others are let in.
	if answer := s.post(t, "/v1/auth/login", network+".252", login(other.User.Username, password)); answer.Status != http.StatusOK {
		t.Errorf("another account: got %d", answer.Status)
	}
	if _, err := victim.Me(within(t, patience)); err != nil {
		t.Errorf("the account's own session: %v", err)
	}
	n = until429(t, "many accounts from one address", http.StatusUnauthorized, func(int) client.Answer {
		return s.post(t, "/v1/auth/login", network+".253", login(freshName(), "wrong guess"))
	})
	t.Logf("one address: limited after %d", n)
	// A forged hop before the proxy's own changes nothing; a neighbour is another.
	limited(t, s.post(t, "/v1/auth/login", "6.6.6.6, "+network+".253", login(freshName(), "wrong guess")))
	if answer := s.post(t, "/v1/auth/login", network+".254", login(other.User.Username, password)); answer.Status != http.StatusOK {
		t.Errorf("another address: got %d", answer.Status)
	}
	// One customer has 2^64 addresses of IPv6.
	until429(t, "many accounts from one IPv6 network", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/login", fmt.Sprintf("2001:db8:%s::%x", network[:2], i+1), login(freshName(), "wrong guess"))
	})
	until429(t, "refresh tokens", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/refresh", network+".250", map[string]string{"refresh_token": fmt.Sprintf("guess-%d", i)})
	})
}

// lockOut guesses at an account from everywhere, so that its owner shall not log in any more: who has logged in from a
// network before can, there, and the guesses at one account stay few, also for those who are in its owner's networks.
func (s *system) lockOut(t *testing.T, victim *actor, network string) {
	t.Helper()
	attempt := func(path, address, password string) client.Answer {
		return s.post(t, path, address, map[string]string{"username": victim.User.Username, "password": password})
	}
	login := func(address, password string) client.Answer { return attempt("/v1/auth/login", address, password) }
	home, phone := network+".1", "2001:db8:"+network[:3]+"::1"
	for _, address := range []string{home, phone} {
		if answer := login(address, password); answer.Status != http.StatusOK {
			t.Fatalf("the first login: got %d", answer.Status)
		}
	}
	until429(t, "guesses from everywhere", http.StatusUnauthorized, func(i int) client.Answer {
		return login(fmt.Sprintf("%s.%d", network, 10+i), "wrong guess")
	})
	limited(t, login(network+".2", password)) // a right one from anywhere else is one more guess
	limited(t, login("2001:db8:"+network[:3]+":1::1", password))
	limited(t, attempt("/v1/admin/session", network+".3", password))
	for _, address := range []string{home, phone + ":7"} { // any address of the phone's /64
		if answer := login(address, password); answer.Status != http.StatusOK {
			t.Errorf("the owner is kept out at %s: %d %.200s", address, answer.Status, answer.Body)
		}
	}
	if n := until429(t, "guesses from the owner's home", http.StatusUnauthorized, func(int) client.Answer { return login(home, "wrong guess") }); n > 3 {
		t.Errorf("%d guesses are let through in the owner's home: it is the limit of its address that stops them, not the account's", n)
	}
	limited(t, login(home, password))
	limited(t, attempt("/v1/admin/session", home, password))
	limited(t, login(home+", "+network+".4", password)) // home is only what the caller says
	if answer := login(phone, "wrong guess"); answer.Status != http.StatusUnauthorized {
		t.Errorf("another network of the owner's: got %d", answer.Status)
	}
}

// guessDirectly guesses without a proxy: an address of one's own making is not believed.
func (s *system) guessDirectly(t *testing.T) {
	t.Helper()
	until429(t, "names from addresses that are made up", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/login", fmt.Sprintf("1.2.3.%d", i), map[string]string{"username": freshName(), "password": "wrong guess"})
	})
	until429(t, "refresh tokens from addresses that are made up", http.StatusUnauthorized, func(i int) client.Answer {
		return s.post(t, "/v1/auth/refresh", fmt.Sprintf("1.2.3.%d", i), map[string]string{"refresh_token": "guess"})
	})
}

func upper(name string) string {
	letters := []byte(name)
	for i, c := range letters {
		if 'a' <= c && c <= 'z' {
			letters[i] = c - 'a' + 'A'
		}
	}
	return string(letters)
}
