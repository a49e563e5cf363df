package httpapi

import (
	"os"

	"gibil.dev/boxd/internal/jobs"
)

const (
	// bootProgram of an image is run as root once in each boot of a machine, when that has its first identity: what it starts is there for
	// every command. Nobody waits for it here; the host does, which gets the job's id.
	bootProgram = "/etc/gibil/boot"
	// bootLabel tells its job from commands of users.
	bootLabel = "boot"
	bootMs    = 120_000
)

// boot gives the id of the job of the boot program as long as that is known; "" where the image has none.
func (a *API) boot() string {
	a.bootOnce.Do(func() {
		if info, err := os.Stat(bootProgram); err != nil || info.Mode()&0o111 == 0 {
			return
		}
		job, _, err := a.Jobs.Start(jobs.Spec{
			Argv: []string{bootProgram}, User: "root", Cwd: "/", Label: bootLabel, TimeoutMs: bootMs,
		}, false)
		if err == nil {
			a.bootJob = job.Info().ID
		}
	})
	if _, err := a.Jobs.Get(a.bootJob); err != nil {
		return ""
	}
	return a.bootJob
}
