export { type BarChart, type BarGroup, type BarPanel, barChart } from './bar-chart.ts';
export { type LineChart, lineChart, type Series } from './line-chart.ts';
