import type { Box } from '@gibil/contract'
import type { PoolState } from '@gibil/core'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface DaemonMetrics {
  request(method: string, path: string, status: number, seconds: number): void
  created(box: Box): void
  ran(seconds: number): void
  /** The text form that Prometheus reads. */
  render(boxes: readonly Box[], pool: PoolState): Promise<{ contentType: string; text: string }>
}

const quick = [0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** The metrics of one daemon. Labels have few values: never a name or an id of a box. */
export function createMetrics(): DaemonMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
  const boxes = new Gauge({
    name: 'gibil_boxes',
    help: 'Boxes by shape and status',
    labelNames: ['shape', 'status'],
    registers,
  })
  const spares = new Gauge({
    name: 'gibil_pool_spares',
    help: 'Boxes made ahead: those that are ready, and those that are wanted',
    labelNames: ['count'],
    registers,
  })
  const handedOut = new Gauge({
    name: 'gibil_pool_creates',
    help: 'Creates since the start that found a spare, and those that found none',
    labelNames: ['found'],
    registers,
  })
  const requests = new Counter({
    name: 'gibil_http_requests_total',
    help: 'Requests by route and status',
    labelNames: ['method', 'path', 'status'],
    registers,
  })
  const requestSeconds = new Histogram({
    name: 'gibil_http_request_duration_seconds',
    help: 'Time to the end of the response',
    labelNames: ['path'],
    buckets: quick,
    registers,
  })
  const createSeconds = new Histogram({
    name: 'gibil_create_phase_duration_seconds',
    help: 'Time of each phase of creating a box',
    labelNames: ['shape', 'phase'],
    buckets: quick,
    registers,
  })
  const runSeconds = new Histogram({
    name: 'gibil_run_duration_seconds',
    help: 'Time of a command that was waited for',
    buckets: quick,
    registers,
  })

  return {
    request(method, path, status, seconds) {
      requests.inc({ method: knownMethods.has(method) ? method : 'other', path, status })
      requestSeconds.observe({ path }, seconds)
    },
    created(box) {
      for (const { phase, ms } of box.timings) createSeconds.observe({ shape: box.shape, phase }, ms / 1000)
    },
    ran: (seconds) => runSeconds.observe(seconds),
    async render(list, pool) {
      spares.set({ count: 'ready' }, pool.ready)
      spares.set({ count: 'wanted' }, pool.wanted)
      handedOut.set({ found: 'spare' }, pool.hits)
      handedOut.set({ found: 'none' }, pool.misses)
      boxes.reset()
      for (const { shape, status } of list) boxes.inc({ shape, status })
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
  }
}

const knownMethods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'])
