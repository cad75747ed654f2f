// Package deploycheck checks docker-compose.yml, the Dockerfile and their settings without a container engine.
package deploycheck

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"ackbox/config"
	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// compose lists the keys of the Compose specification that our file uses; any other key is taken for a slip.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Networks map[string]struct {
		IPAM struct {
			Config []struct {
				Subnet string `yaml:"subnet"`
			} `yaml:"config"`
		} `yaml:"ipam"`
	} `yaml:"networks"`
	Node service `yaml:"x-node"`
}

type service struct {
	Build           string            `yaml:"build"`
	Image           string            `yaml:"image"`
	Restart         string            `yaml:"restart"`
	StopGracePeriod string            `yaml:"stop_grace_period"`
	Command         []string          `yaml:"command"`
	Environment     map[string]string `yaml:"environment"`
	Ports           []string          `yaml:"ports"`
	Volumes         []string          `yaml:"volumes"`
	DependsOn       map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
		Retries     int      `yaml:"retries"`
	} `yaml:"healthcheck"`
}

func TestComposeStartsEverything(t *testing.T) {
	t.Parallel()
	file := load(t)
	images := map[string]string{"balancer": "caddy:2", "node1": "ackbox", "node2": "ackbox", "mysql": "mysql:8.4", "redis": "redis:7", "prometheus": "prom/prometheus:v3", "grafana": "grafana/grafana:12"}
	for name, image := range images {
		if got := file.Services[name].Image; !strings.HasPrefix(got, image) {
			t.Errorf("service %s: got image %q, want %s", name, got, image)
		}
	}
	for name, service := range file.Services {
		if _, wanted := images[name]; !wanted {
			t.Errorf("service %s: not one that is wanted", name)
		}
		if len(service.Healthcheck.Test) < 2 || !strings.HasPrefix(service.Healthcheck.Test[0], "CMD") {
			t.Errorf("service %s: health check: got %q", name, service.Healthcheck.Test)
		}
		if service.Restart != "unless-stopped" {
			t.Errorf("service %s: restart: got %q", name, service.Restart)
		}
		for other, dependency := range service.DependsOn {
			if _, exists := file.Services[other]; !exists || dependency.Condition != "service_healthy" {
				t.Errorf("service %s: depends on %s: %q; want an existing service, healthy", name, other, dependency.Condition)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, named := file.Volumes[source]; !named && !exists(source) {
				t.Errorf("service %s: volume %s is neither declared nor a file", name, source)
			}
		}
		for _, port := range service.Ports {
			if (name != "balancer" && name != "grafana") || !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("service %s publishes %s; only the balancer and Grafana publish, and on the loopback address", name, port)
			}
		}
	}
	for name, want := range map[string][]string{"node1": {"mysql", "redis"}, "node2": {"mysql", "redis"}, "balancer": {"node1", "node2"}, "grafana": {"prometheus"}} {
		for _, dependency := range want {
			if _, waits := file.Services[name].DependsOn[dependency]; !waits {
				t.Errorf("service %s does not wait for %s", name, dependency)
			}
		}
	}
}

func TestComposeSecretsAreRequired(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml")
	example := read(t, ".env.example")
	for _, name := range []string{"ACKBOX_JWT_SECRET", "MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "GRAFANA_PASSWORD"} {
		uses := regexp.MustCompile(`[^$]\$\{`+name+`[^}]*\}`).FindAllString(text, -1)
		if len(uses) == 0 {
			t.Errorf("%s is not used", name)
		}
		for _, use := range uses {
			if !strings.Contains(use, "${"+name+":?") {
				t.Errorf("%s is used as %s: without it, the service would start with an empty secret", name, use)
			}
		}
	}
	for _, match := range regexp.MustCompile(`[^$]\$\{([A-Z_]+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(example, "\n"+match[1]+"=\n") {
			t.Errorf(".env.example does not list %s, or gives it a value", match[1])
		}
	}
}

func TestComposeSettingsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	collect(reflect.TypeFor[config.Config](), known)
	if !known["ACKBOX_MYSQL_DSN"] {
		t.Fatalf("settings read from config.Config: got %v, without ACKBOX_MYSQL_DSN", known)
	}
	file := load(t)
	for _, node := range []string{"node1", "node2"} {
		environment := file.Services[node].Environment
		for name := range environment {
			if !known[name] {
				t.Errorf("service %s: %s is not a setting", node, name)
			}
		}
		for _, name := range []string{"ACKBOX_HTTP_ADDR", "ACKBOX_MYSQL_DSN", "ACKBOX_REDIS_URL", "ACKBOX_JWT_SECRET"} {
			if environment[name] == "" {
				t.Errorf("service %s: %s is missing", node, name)
			}
		}
		if subnet := file.Networks["default"].IPAM.Config[0].Subnet; environment["ACKBOX_TRUSTED_PROXIES"] != subnet {
			t.Errorf("service %s trusts %q, the network is %q", node, environment["ACKBOX_TRUSTED_PROXIES"], subnet)
		}
	}
	for _, name := range regexp.MustCompile(`ACKBOX_[A-Z_]+`).FindAllString(read(t, "Dockerfile"), -1) {
		if !known[name] {
			t.Errorf("Dockerfile: %s is not a setting", name)
		}
	}
}

// TestComposeStops: a node has its drain delay, and 10 seconds, before it is killed.
func TestComposeStops(t *testing.T) {
	t.Parallel()
	node := load(t).Services["node1"]
	grace, err := time.ParseDuration(node.StopGracePeriod)
	if err != nil {
		t.Fatal(err)
	}
	drain, err := time.ParseDuration(node.Environment["ACKBOX_DRAIN_DELAY"])
	if err != nil {
		t.Fatal(err)
	}
	if grace < drain+15*time.Second {
		t.Errorf("got %s to stop, want 15s after the drain delay of %s", grace, drain)
	}
}

// TestComposeSettingsAreValid reads a node's environment as the program does, the required secrets filled in and the
// optional variables empty.
func TestComposeSettingsAreValid(t *testing.T) {
	secrets := map[string]string{"ACKBOX_JWT_SECRET": rand.Text() + rand.Text(), "MYSQL_PASSWORD": "letters"}
	for name, value := range load(t).Services["node1"].Environment {
		t.Setenv(name, os.Expand(value, func(variable string) string {
			variable, _, _ = strings.Cut(variable, ":")
			return secrets[variable]
		}))
	}
	var settings config.Config
	parser, err := kong.New(&settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if err := settings.Check(); err != nil {
		t.Error(err)
	}
	if settings.Embedded() || len(settings.AllowedOrigins) != 0 {
		t.Errorf("got embedded %v and origins %q, want MySQL and Redis, and none", settings.Embedded(), settings.AllowedOrigins)
	}
}

func TestBalancerKnowsTheNodes(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/Caddyfile")
	if strings.Count(text, "{") != strings.Count(text, "}") {
		t.Error("deploy/Caddyfile: braces do not match")
	}
	file := load(t)
	asked := map[string]int{}
	for _, nodes := range regexp.MustCompile(`reverse_proxy ([^{]*)\{`).FindAllStringSubmatch(text, -1) {
		for _, upstream := range strings.Fields(nodes[1]) {
			name, port, _ := strings.Cut(upstream, ":")
			node, exists := file.Services[name]
			listens := ""
			for _, setting := range []string{"ACKBOX_HTTP_ADDR", "ACKBOX_ADMIN_ADDR"} {
				if _, p, _ := strings.Cut(node.Environment[setting], ":"); p == port {
					listens = setting
				}
			}
			if !exists || listens == "" {
				t.Errorf("deploy/Caddyfile sends to %s, where nothing listens", upstream)
			}
			asked[listens]++
		}
	}
	if asked["ACKBOX_HTTP_ADDR"] != 2 || asked["ACKBOX_ADMIN_ADDR"] != 2 {
		t.Errorf("deploy/Caddyfile: got %v, want both nodes, for clients and for operators", asked)
	}
	for _, target := range regexp.MustCompile(`node\d+:\d+`).FindAllString(read(t, "deploy/prometheus/prometheus.yml"), -1) {
		name, port, _ := strings.Cut(target, ":")
		if !strings.HasSuffix(file.Services[name].Environment["ACKBOX_ADMIN_ADDR"], ":"+port) {
			t.Errorf("deploy/prometheus/prometheus.yml asks %s, where no metrics are", target)
		}
	}
}

// collect adds the environment variables of a settings struct, nested ones included.
func collect(settings reflect.Type, names map[string]bool) {
	for i := range settings.NumField() {
		field := settings.Field(i)
		if name := field.Tag.Get("env"); name != "" {
			names[name] = true
		}
		if field.Type.Kind() == reflect.Struct {
			collect(field.Type, names)
		}
	}
}

func load(t *testing.T) compose {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewBufferString(read(t, "docker-compose.yml")))
	decoder.KnownFields(true)
	var file compose
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("docker-compose.yml: %v", err)
	}
	return file
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(inRoot(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(name string) bool {
	_, err := os.Stat(inRoot(name))
	return err == nil
}

func inRoot(name string) string { return filepath.Join("..", "..", name) }
