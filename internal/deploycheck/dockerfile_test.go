package deploycheck

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile, continuations joined.
type instruction struct {
	name string
	args string
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := []string{}
	final := map[string]string{} // the last stage's instructions
	for _, line := range dockerfile(t) {
		switch line.name {
		case "FROM":
			final = map[string]string{"FROM": line.args}
			if _, stage, named := strings.Cut(line.args, " AS "); named {
				stages = append(stages, stage)
			}
			continue
		case "COPY":
			checkCopy(t, line.args, stages)
		case "RUN", "WORKDIR", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK":
		case "ENTRYPOINT", "CMD":
			checkExec(t, line.name, line.args)
		default:
			t.Errorf("Dockerfile: unknown instruction %s", line.name)
		}
		final[line.name] = line.args
	}
	if final["FROM"] != "scratch" {
		t.Errorf("the image builds on %q, want scratch: nothing but the binary", final["FROM"])
	}
	if user, _, _ := strings.Cut(final["USER"], ":"); user == "" || user == "0" || user == "root" {
		t.Errorf("USER: got %q, want anyone but root", final["USER"])
	}
	if _, command, found := strings.Cut(final["HEALTHCHECK"], " CMD "); !found || !strings.Contains(command, "healthcheck") {
		t.Errorf("HEALTHCHECK: got %q, want the binary itself", final["HEALTHCHECK"])
	} else {
		checkExec(t, "HEALTHCHECK", command)
	}
	if !regexp.MustCompile(`CGO_ENABLED=0 go build`).MatchString(read(t, "Dockerfile")) {
		t.Error("the binary is not built static")
	}
}

// checkExec wants the form that needs no shell, which an empty image does not have.
func checkExec(t *testing.T, name, args string) {
	t.Helper()
	var command []string
	if err := json.Unmarshal([]byte(args), &command); err != nil || len(command) == 0 {
		t.Errorf("%s %s: want a JSON array", name, args)
	}
}

func checkCopy(t *testing.T, args string, stages []string) {
	t.Helper()
	words := strings.Fields(args)
	from := ""
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		if stage, found := strings.CutPrefix(words[0], "--from="); found {
			from = stage
		}
		words = words[1:]
	}
	if len(words) < 2 {
		t.Errorf("COPY %s: want sources and a destination", args)
		return
	}
	if from != "" {
		if !slices.Contains(stages, from) {
			t.Errorf("COPY %s: there is no stage %s before it", args, from)
		}
		return
	}
	for _, source := range words[:len(words)-1] {
		if !exists(path.Clean(source)) {
			t.Errorf("COPY %s: there is no %s", args, source)
		}
	}
}

func dockerfile(t *testing.T) []instruction {
	t.Helper()
	text := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", " ")
	var lines []instruction
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		lines = append(lines, instruction{name: name, args: strings.TrimSpace(args)})
	}
	if len(lines) == 0 || lines[0].name != "FROM" {
		t.Fatal("Dockerfile: it does not begin with FROM")
	}
	return lines
}
