import { expect, test } from 'vitest'
import { complaintsOf, endingOf } from './ending.ts'

const powered = 'qemu_system_shutdown_request reason=6\n'
const vm = { hasInit: true }
const rebooted = '[   11.5] reboot: Restarting system\r\n'

test('what a guest asked for is told from an end that it did not ask for', () => {
  expect(endingOf(powered, '[   11.5] reboot: Power down\r\n', vm)).toMatchObject({ asked: 'power-off' })
  expect(endingOf(`qemu: a warning\n${powered}`, '', vm)).toMatchObject({ asked: 'power-off' })
  expect(endingOf('', rebooted, vm)).toMatchObject({ asked: 'reboot' })
  expect(endingOf('', rebooted, { hasInit: false })).toEqual({ reason: 'ended' })
  expect(endingOf('', '', vm)).toEqual({ reason: 'ended' })
  // SIGTERM from outside.
  expect(endingOf('qemu_system_shutdown_request reason=4\n', '', vm)).toEqual({ reason: 'ended' })
})

test('a panic restarts the machine too, and is no wish', () => {
  const panic = 'Kernel panic - not syncing: sysrq triggered crash\r\n'
  expect(endingOf('', panic + rebooted, vm)).toEqual({ reason: 'its kernel panicked: sysrq triggered crash' })
})

test('what QEMU notes of a shutdown is no complaint', () => {
  expect(complaintsOf(`qemu: no such file\n${powered}`)).toBe('qemu: no such file\n')
})
