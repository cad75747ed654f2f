package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"ackbox/client"
)

// Options say what `ackbox verify` does and how hard. Every run is bounded by them.
type Options struct {
	URL        []string      `name:"url" default:"http://127.0.0.1:8080" help:"Address of a node, or of what stands before them; give every node, by commas or by repeating it, so that traffic crosses them."`
	Duration   time.Duration `default:"30s" help:"How long there is traffic; draining and checking come after it."`
	Users      int           `default:"20" help:"Marked accounts that are registered for the run. They stay."`
	UsersFile  string        `name:"users-file" type:"path" help:"Use these accounts instead: lines of a username, a space and a password. They should be nobody's, and not be used at the same time."`
	Rate       float64       `default:"50" help:"Sends a second."`
	LogGroup   int           `name:"log-group" default:"0" help:"Members of one large group, above the deployment's limit for mailboxes, so that delivery by log is checked too. Accounts that are missing are registered."`
	Timeout    time.Duration `default:"10s" help:"Longest wait for one answer."`
	Settle     time.Duration `default:"60s" help:"Longest wait for the devices to have everything in the end."`
	DelayLimit time.Duration `name:"delay-limit" default:"10s" help:"A message that comes later than that to a device that is online is a violation."`
	Metrics    []string      `name:"metrics-url" help:"Addresses of the nodes' /metrics pages: what they use is compared before and after. Not while others use the deployment."`
	AdminToken string        `name:"admin-token" env:"ACKBOX_VERIFY_ADMIN_TOKEN" help:"Access token of an admin: accounts are made and shut out again by the admin API, and the report says which nodes were met. Also sent to the metrics pages."`
	AdminURL   string        `name:"admin-url" help:"Where the admin API is, if it has a listener of its own."`
	History    string        `type:"path" help:"File for the whole history, a line of JSON an event."`
	Capacity   int           `default:"2000000" help:"Events that are kept; about half a kilobyte each. A run that has more ends without a verdict."`
}

const (
	minUsers, maxUsers = 3, 2000
	maxMembers         = 10_000
	maxRate            = 5000
	maxDuration        = 24 * time.Hour
	maxCapacity        = 50_000_000
)

// check reports every bound that the options break.
func (o Options) check() error {
	var errs []error
	within := func(name string, v, low, high float64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s: %v is not between %v and %v", name, v, low, high))
		}
	}
	var admin []string
	if o.AdminURL != "" {
		admin = append(admin, o.AdminURL)
		if o.AdminToken == "" {
			errs = append(errs, errors.New("admin-url: without admin-token"))
		}
	}
	if len(o.URL) == 0 {
		errs = append(errs, errors.New("url: none given"))
	}
	for _, raw := range slices.Concat(o.URL, o.Metrics, admin) {
		if u, err := url.Parse(raw); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			errs = append(errs, fmt.Errorf("url: %q is no address such as http://127.0.0.1:8080", raw))
		}
	}
	within("users", float64(o.Users), minUsers, maxUsers)
	within("rate", o.Rate, 0.1, maxRate)
	within("duration", o.Duration.Seconds(), 0.1, maxDuration.Seconds())
	within("timeout", o.Timeout.Seconds(), 0.1, 600)
	within("settle", o.Settle.Seconds(), 1, 3600)
	within("delay-limit", o.DelayLimit.Seconds(), 0.01, 3600)
	within("log-group", float64(o.LogGroup), 0, maxMembers)
	within("capacity", float64(o.Capacity), 1000, maxCapacity)
	return errors.Join(errs...)
}

// readUsers reads a file of accounts.
func readUsers(path string) (list []client.Credentials, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("users-file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return parseUsers(f)
}

func parseUsers(in io.Reader) ([]client.Credentials, error) {
	var list []client.Credentials
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, password, ok := strings.Cut(line, " ")
		if password = strings.TrimSpace(password); !ok || password == "" {
			return nil, fmt.Errorf("users-file: line %d is not a username, a space and a password", n)
		}
		list = append(list, client.Credentials{Username: name, Password: password})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("users-file: %w", err)
	}
	if len(list) < minUsers || len(list) > maxUsers {
		return nil, fmt.Errorf("users-file: %d accounts, want %d to %d", len(list), minUsers, maxUsers)
	}
	return list, nil
}
