import { expect, it } from 'vitest'
import { parseCgroupLayout } from './cgroups.ts'

const line = (target: string, type: string, options: string) =>
  `31 24 0:27 / ${target} rw,nosuid shared:9 - ${type} ${type} rw,${options}`

it('knows version 2', () => {
  const layout = parseCgroupLayout(`${line('/', 'ext4', '')}\n${line('/sys/fs/cgroup', 'cgroup2', 'nsdelegate')}`)
  expect(layout?.version).toBe(2)
  expect(layout?.mounts).toEqual(['/sys/fs/cgroup'])
  expect(layout?.byController.get('memory')).toBe('/sys/fs/cgroup')
})

it('knows version 1, also with joined controllers and a version 2 mount beside it', () => {
  const layout = parseCgroupLayout(
    [
      line('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct'),
      line('/sys/fs/cgroup/memory', 'cgroup', 'memory'),
      line('/sys/fs/cgroup/systemd', 'cgroup', 'name=systemd'),
      line('/sys/fs/cgroup/unified', 'cgroup2', ''),
    ].join('\n'),
  )
  expect(layout?.version).toBe(1)
  expect(layout?.byController.get('cpu')).toBe('/sys/fs/cgroup/cpu,cpuacct')
  expect(layout?.mounts).toHaveLength(4)
})

it('says when there is none, and does not take a cgroup of another place for it', () => {
  expect(parseCgroupLayout('')).toBeUndefined()
  expect(parseCgroupLayout(line('/mnt/other', 'cgroup2', ''))).toBeUndefined()
})
