import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderNoCloudSeed } from './no-cloud.ts'
import { usualPackages } from './packages.ts'
import { readMime } from './read-mime.ts'
import { maxUserDataBytes, renderUserData, type UserDataOptions } from './user-data.ts'

const options: UserDataOptions = {
  hostname: 'workstation',
  authorizedKeys: ['ssh-ed25519 AAAAlogin login'],
  hostKeys: { privateKey: 'PRIVATE\nKEY\n', publicKey: 'ssh-ed25519 AAAAhost host' },
  deadline: 1_800_000_000,
  graceSeconds: 600,
  packages: usualPackages,
}

const parts = (text: string): { type: string; text: string }[] => readMime(text) ?? []
const config = (text: string): Record<string, unknown> => parse(parts(text)[1]?.text ?? '', { version: '1.1' })

describe('user data', () => {
  test('one user with keys and sudo, the host key that was made, and no passwords', () => {
    expect(config(renderUserData(options))).toEqual({
      hostname: 'workstation',
      preserve_hostname: false,
      manage_etc_hosts: 'localhost',
      users: [
        {
          name: 'agent',
          uid: 1000,
          shell: '/bin/bash',
          sudo: 'ALL=(ALL) NOPASSWD:ALL',
          lock_passwd: true,
          ssh_authorized_keys: ['ssh-ed25519 AAAAlogin login'],
        },
      ],
      disable_root: true,
      ssh_pwauth: false,
      chpasswd: { expire: false },
      ssh_deletekeys: true,
      ssh_keys: { ed25519_private: 'PRIVATE\nKEY\n', ed25519_public: 'ssh-ed25519 AAAAhost host' },
      write_files: [{ path: '/etc/ssh/sshd_config.d/00-gibil.conf', content: expect.stringContaining('HostKey') }],
      runcmd: [['sh', '-c', expect.stringContaining('dockerd:docker.io apparmor_parser:apparmor git:git')]],
    })
  })

  test('the same for the same, and the hook before all else', () => {
    expect(renderUserData(options)).toBe(renderUserData(options))
    expect(parts(renderUserData(options)).map(({ type }) => type)).toEqual(['text/cloud-boothook', 'text/cloud-config'])
  })

  test('what the user gave comes after what is ours', () => {
    const userText = '#cloud-config\nruncmd: [make it]\nusers: [default, {name: eve}]\ntimezone: Europe/Berlin\n'
    const merged = config(renderUserData({ ...options, userText }))
    expect(merged).toMatchObject({ timezone: 'Europe/Berlin', users: [{ name: 'agent' }, 'default', { name: 'eve' }] })
    expect(merged['runcmd']).toEqual([expect.any(Array), 'make it'])
    const script = parts(renderUserData({ ...options, userText: '#!/bin/sh\necho grün\n' }))[2]
    expect(script).toEqual({ type: 'text/x-shellscript', text: '#!/bin/sh\necho grün\n' })
  })

  test('what is too large is compressed, and refused when it is still too large', () => {
    const script = `#!/bin/sh\n${'echo the same again\n'.repeat(5000)}`
    const packed = renderUserData({ ...options, userText: script })
    expect(packed.length).toBeLessThan(maxUserDataBytes)
    expect(parts(gunzipSync(Buffer.from(packed, 'base64')).toString())[2]?.text).toBe(script)
    expect(renderUserData({ ...options, userText: script, maxBytes: Number.POSITIVE_INFINITY })).toContain(script)

    const userText = `#!/bin/sh\n# ${randomBytes(30_000).toString('hex')}\n`
    expect(() => renderUserData({ ...options, userText })).toThrow(
      expect.objectContaining({ code: 'invalid_user_data', message: expect.stringMatching(/\d+ bytes, compressed/) }),
    )
  })

  test('keys that are more than one line, or none', () => {
    for (const authorizedKeys of [[], ['ssh-ed25519 AAAA x\nssh-ed25519 BBBB'], ['no key']]) {
      expect(() => renderUserData({ ...options, authorizedKeys })).toThrow(
        expect.objectContaining({ code: 'invalid_user_data' }),
      )
    }
  })
})

test('a seed has what a machine is told in files', () => {
  const seed = renderNoCloudSeed({ instanceId: 'i-1', hostname: 'yes', userData: 'x', networkConfig: { version: 2 } })
  expect(seed).toEqual({
    'meta-data': 'instance-id: i-1\nlocal-hostname: "yes"\n',
    'user-data': 'x',
    'network-config': 'version: 2\n',
  })
  expect(Object.keys(renderNoCloudSeed({ instanceId: 'i', hostname: 'h', userData: '' }))).not.toContain(
    'network-config',
  )
})
