import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, it } from 'vitest'
import { qemuMachines } from '../src/machines/qemu.ts'
import { startSim } from '../src/start-sim.ts'
import { ask, makeServer } from '../src/testing/client.ts'

/**
 * A real machine behind a server: HETZNER_SIM_IMAGES names a directory with debian-12/disk.qcow2. Two minutes and more without
 * KVM, so it is not a part of the suite.
 */
const images = process.env['HETZNER_SIM_IMAGES']
const bootMs = 300_000

it.runIf(images)('boots a machine that believes to be at Hetzner', { timeout: bootMs * 2 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hetzner-machines-'))
  const sim = await startSim({ machines: qemuMachines({ dir, images: images ?? '' }) })
  try {
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'key')])
    await ask(sim, 'POST', '/ssh_keys', { name: 'k', public_key: await readFile(join(dir, 'key.pub'), 'utf8') })
    const user_data = '#cloud-config\nruncmd:\n- [sh, -c, "echo hello > /root/proof"]\n'
    const { server } = await makeServer(sim, 'web-1', { image: 'debian-12', ssh_keys: ['k'], user_data })
    const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'ConnectTimeout=5']
    const flags = ['-i', join(dir, 'key'), ...options.flatMap((option) => ['-o', option])]
    const ssh = async (command: string): Promise<string> =>
      (await execa('ssh', [...flags, `root@${server.public_net.ipv4.ip}`, command], { reject: false })).stdout

    await expect.poll(() => ssh('hostname'), { timeout: bootMs, interval: 1000 }).toBe('web-1')
    // It does not wait for all of cloud-init when a module fails, as one may in a disk of one's own making.
    await expect.poll(() => ssh('cat /root/proof'), { timeout: bootMs, interval: 1000 }).toBe('hello')
    expect(await ssh('cloud-id; cat /sys/class/dmi/id/product_serial')).toBe(`hetzner\n${server.id}`)
    const path = `/servers/${server.id}`
    await ask(sim, 'POST', `${path}/actions/shutdown`)
    const status = async (): Promise<string> => (await ask(sim, 'GET', path)).body.server.status
    await expect.poll(status, { timeout: 60_000 }).toBe('off')
    const { image } = (await ask(sim, 'POST', `${path}/actions/create_image`, {})).body
    await sim.settled()
    expect((await ask(sim, 'GET', `/images/${image.id}`)).body.image.image_size).toBeGreaterThan(0.1)
    await ask(sim, 'DELETE', path)
    await sim.settled()
    expect((await execa('ip', ['netns'])).stdout).not.toContain(String(server.id))
  } finally {
    for (const id of sim.state.project().servers.keys()) await ask(sim, 'DELETE', `/servers/${id}`)
    await sim.settled()
    await sim.close()
    await rm(dir, { recursive: true })
  }
})
