package deploycheck

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/promql/parser"
	"gopkg.in/yaml.v3"
)

// figures are the metrics that there are, and their labels: ours as docs/metrics.md lists them (which a test compares with
// what a server registers), those of the libraries as their collectors tell.
func figures(t *testing.T) map[string][]string {
	t.Helper()
	list := map[string][]string{"up": nil, "ALERTS": {"alertname", "alertstate"}}
	for line := range strings.Lines(read(t, "docs/metrics.md")) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.HasPrefix(cells[1], " `ackbox_") {
			continue
		}
		name, labels := strings.Trim(cells[1], " `"), []string{}
		for label := range strings.SplitSeq(strings.Trim(cells[3], " "), ", ") {
			if label = strings.Trim(label, "`"); label == "job" {
				label = "exported_job" // Prometheus has a job of its own
			}
			labels = append(labels, label)
		}
		if strings.TrimSpace(cells[2]) != "histogram" {
			list[name] = labels
			continue
		}
		list[name+"_bucket"], list[name+"_sum"], list[name+"_count"] = append(labels, "le"), labels, labels
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewDBStatsCollector(&sql.DB{}, "all"))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		list[family.GetName()] = []string{"db_name"}
	}
	if len(list) < 100 {
		t.Fatalf("got %d metrics", len(list))
	}
	return list
}

// checkQuery wants a query that Prometheus can parse, about metrics and labels that there are.
func checkQuery(t *testing.T, where, query string, known map[string][]string) {
	t.Helper()
	tree, err := parser.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %s: %v", where, query, err)
		return
	}
	var names []string
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		names = append(names, selector.Name)
		labels, exists := known[selector.Name]
		if !exists {
			t.Errorf("%s: there is no metric %s", where, selector.Name)
			return nil
		}
		for _, matcher := range selector.LabelMatchers {
			if !slices.Contains(append([]string{"__name__", "instance", "job"}, labels...), matcher.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, matcher.Name)
			}
		}
		return nil
	})
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if sum, is := node.(*parser.AggregateExpr); is && len(names) > 0 {
			for _, label := range sum.Grouping {
				if !slices.ContainsFunc(names, func(name string) bool { return label == "instance" || slices.Contains(known[name], label) }) {
					t.Errorf("%s: sums by %s, which none of %v has", where, label, names)
				}
			}
		}
		return nil
	})
}

type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// TestAlerts: each alert can be evaluated, and leads to a chapter of the runbook.
func TestAlerts(t *testing.T) {
	t.Parallel()
	decoder := yaml.NewDecoder(bytes.NewBufferString(read(t, "deploy/prometheus/rules.yml")))
	decoder.KnownFields(true)
	var file rules
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	known, chapters := figures(t), headings(t, "docs/operations.md")
	seen := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] || !strings.HasPrefix(rule.Alert, "Ackbox") {
				t.Errorf("%s: there are two, or it is not named Ackbox…", rule.Alert)
			}
			seen[rule.Alert] = true
			checkQuery(t, rule.Alert, rule.Expr, known)
			if _, err := time.ParseDuration(rule.For); err != nil {
				t.Errorf("%s: for: %v", rule.Alert, err)
			}
			if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
				t.Errorf("%s: severity %q", rule.Alert, severity)
			}
			chapter, found := strings.CutPrefix(rule.Annotations["runbook"], "docs/operations.md#")
			if !found || !chapters[chapter] {
				t.Errorf("%s: its runbook is %q, which is no chapter", rule.Alert, rule.Annotations["runbook"])
			}
			for _, name := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["summary"], -1) {
				if !labelled(rule.Expr, name[1], known) {
					t.Errorf("%s: its summary names the label %s, which its result does not have", rule.Alert, name[1])
				}
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("got %d alerts", len(seen))
	}
}

// labelled says whether some metric of a query has a label.
func labelled(query, label string, known map[string][]string) bool {
	if label == "instance" {
		return !strings.HasPrefix(query, "sum(")
	}
	for name, labels := range known {
		if strings.Contains(query, name) && slices.Contains(labels, label) {
			return true
		}
	}
	return false
}

// TestDashboard: each panel's queries can be evaluated.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		UID         string `json:"uid"`
		Annotations struct {
			List []struct {
				Expr string `json:"expr"`
			} `json:"list"`
		} `json:"annotations"`
		Templating struct {
			List []struct {
				Name string `json:"name"`
			} `json:"list"`
		} `json:"templating"`
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			Type    string `json:"type"`
			GridPos struct{ H, W, X, Y int }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/dashboards/ackbox.json")), &board); err != nil {
		t.Fatal(err)
	}
	known := figures(t)
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	used, taken := map[string]bool{}, map[[2]int]string{}
	ids := map[int]bool{}
	for _, panel := range board.Panels {
		if ids[panel.ID] || panel.ID == 0 {
			t.Errorf("%s: its id %d is another's too", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %s, or outside", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s draws nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			query := fill.Replace(target.Expr)
			if strings.Contains(query, "$") {
				t.Errorf("%s: an unknown variable: %s", panel.Title, query)
			}
			checkQuery(t, panel.Title, query, known)
			for name := range known {
				used[name] = used[name] || strings.Contains(query, name)
			}
		}
	}
	for _, annotation := range board.Annotations.List {
		checkQuery(t, "annotation", annotation.Expr, known)
	}
	for name := range known {
		if strings.HasPrefix(name, "ackbox_") && !used[name] && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") && !strings.HasSuffix(name, "_bucket") {
			t.Errorf("no panel draws %s", name)
		}
	}
}

// TestDocumentLinks: what the documents for operators link to is there.
func TestDocumentLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"docs/operations.md", "docs/metrics.md"} {
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, name), -1) {
			file, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := name
			if file != "" {
				target = "docs/" + file
			}
			if !exists(target) {
				t.Errorf("%s links to %s, which is not there", name, link[1])
				continue
			}
			if anchor != "" && !headings(t, target)[anchor] {
				t.Errorf("%s links to %s: no such heading", name, link[1])
			}
		}
	}
}

// headings are the anchors of a Markdown file, as GitHub makes them.
func headings(t *testing.T, name string) map[string]bool {
	t.Helper()
	anchors := map[string]bool{}
	for line := range strings.Lines(read(t, name)) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		anchor := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		anchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(anchor, "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	return anchors
}
