import { expect, it } from 'vitest'
import { type OciInput, ociSpec } from './oci-spec.ts'

const input: OciInput = {
  hostname: 'w',
  rootfs: '/run/gibil-000000/boxes/b/rootfs',
  args: ['/run/gibil/boxd', '--fd', '3'],
  boxdBinary: '/opt/boxd',
  cgroupsPath: '/gibil-000000/b',
  uidBase: 0x7000_0000,
  size: { cpu: 0.5, memoryMib: 256, diskMib: 1024 },
  processes: { box: 1024, user: 972 },
  openFiles: 20_000,
  netns: '/run/netns/gibil-000000-b',
  env: {},
  arch: 'x64',
}

it('turns the size into limits, without swap', () => {
  const { resources } = ociSpec(input, () => true).linux
  expect(resources.cpu).toEqual({ shares: 512, quota: 50_000, period: 100_000 })
  expect(resources.memory).toEqual({ limit: 256 * 1024 * 1024, swap: 256 * 1024 * 1024 })
  expect(resources.pids.limit).toBe(1024)
})

it('shifts all ids and joins the network namespace, or makes an empty one', () => {
  const { linux } = ociSpec(input, () => true)
  expect(linux.uidMappings).toEqual([{ containerID: 0, hostID: 0x7000_0000, size: 65_536 }])
  expect(linux.gidMappings).toEqual(linux.uidMappings)
  expect(linux.namespaces).toContainEqual({ type: 'network', path: '/run/netns/gibil-000000-b' })
  expect(ociSpec({ ...input, netns: undefined }, () => true).linux.namespaces).toContainEqual({ type: 'network' })
  expect(linux.namespaces.map(({ type }) => type).sort()).toEqual([
    'cgroup',
    'ipc',
    'mount',
    'network',
    'pid',
    'user',
    'uts',
  ])
})

it('gives no capability over the host and never a limit of open files beyond its own', () => {
  const { process } = ociSpec(input, () => true)
  for (const name of [
    'CAP_SYS_ADMIN',
    'CAP_NET_ADMIN',
    'CAP_SYS_MODULE',
    'CAP_MKNOD',
    'CAP_DAC_READ_SEARCH',
    'CAP_BPF',
  ]) {
    expect(process.capabilities.bounding).not.toContain(name)
  }
  expect(process.rlimits).toContainEqual({ type: 'RLIMIT_NOFILE', soft: 20_000, hard: 20_000 })
  expect(process.env).toContain('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
})

it('mounts nothing of the host that could be written, and skips what the host does not have', () => {
  const { mounts } = ociSpec(input, () => true)
  for (const mount of mounts.filter(({ type }) => type === 'bind')) expect(mount.options).toContain('ro')
  expect(mounts.map(({ destination }) => destination)).toContain('/sys/devices/system/cpu')
  const fewer = ociSpec(input, (path) => path !== '/sys/devices/system/node').mounts
  expect(fewer.map(({ destination }) => destination)).not.toContain('/sys/devices/system/node')
})
