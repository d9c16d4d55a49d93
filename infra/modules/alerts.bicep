// What wakes people: each alert says what is wrong and what to do. They read the line `gauges` that every sweep writes
// (figures of the whole installation, nothing of a client), lines that begin with ALARM, and the platform's own figures.

@description('Required. The region.')
param location string

@description('Required. What each alert\'s name begins with.')
param prefix string

@description('Required. The Application Insights resource whose lines are asked.')
param insightsId string

@description('Required. The function app, for its failed requests.')
param appId string

@description('Required. Whom alerts are told to.')
param peopleId string

@description('Required. Tags.')
param tags object

@description('The newest figures, as a table of one row.')
var gauges = 'traces | where message has "gauges" | extend line = parse_json(message) | where line.message == "gauges" | top 1 by timestamp desc'

@description('What is asked, how often, and when it is told.')
var rules = [
  {
    name: 'silent'
    severity: 1
    every: 'PT5M'
    window: 'PT30M'
    description: 'No sweep for half an hour: nothing is expired, reminded or published. Look at /api/health and at the app in the portal; start it again.'
    query: 'traces | where message has "gauges" | where parse_json(message).message == "gauges"'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'dead-letters'
    severity: 2
    every: 'PT5M'
    window: 'PT15M'
    description: 'Messages failed five times and wait as dead letters. Open Dead letters in Assay: each says why, and can be sent again.'
    query: '${gauges} | where toint(line.dead_letters) > 0 or toint(line.poisoned) > 0'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'checkpoint-age'
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    description: 'What happened has had no signed checkpoint for half an hour. Assay doctor says which key or container does not answer.'
    query: '${gauges} | where toint(line.checkpoint_age_seconds) > 1800'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'approvals-wait'
    severity: 3
    every: 'PT1H'
    window: 'PT1H'
    description: 'An approval has waited for more than two days, or more than fifty wait. The inbox shows whose they are; a stand-in can answer.'
    query: '${gauges} | where toint(line.oldest_approval_hours) > 48 or toint(line.approvals_waiting) > 50'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'usage'
    severity: 2
    every: 'PT1H'
    // Longer than that, so that no line falls between two looks.
    window: 'PT2H'
    description: 'The Marketplace has not taken a number of metered billing for three hours, or for a whole day: then those clients are not on the bill. Health in Assay says why; the audit trail has each that was missed.'
    query: 'traces | where message has "gauges" | extend line = parse_json(message) | where line.message == "gauges" | where toint(line.usage_waits_hours) > 2 or toint(line.usage_missed) > 0'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'alarm'
    severity: 0
    every: 'PT5M'
    window: 'PT10M'
    description: 'Assay found that a record, a key or a log is not as it wrote it. Open the audit trail of the installation, and the README at what it names, before anything else.'
    query: 'traces | where message has "ALARM"'
    operator: 'GreaterThan'
    threshold: 0
  }
]

// Not the newest version: Azure Government's is often older.
#disable-next-line use-recent-api-versions
resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for entry in rules: {
    name: '${prefix}-${entry.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Assay: ${entry.name}'
      description: entry.description
      enabled: true
      severity: entry.severity
      scopes: [insightsId]
      evaluationFrequency: entry.every
      windowSize: entry.window
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: entry.query
            timeAggregation: 'Count'
            operator: entry.operator
            threshold: entry.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [peopleId] }
    }
  }
]

// Not the newest version: Azure Government's is often older.
#disable-next-line use-recent-api-versions
resource failures 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${prefix}-5xx'
  location: 'global'
  tags: tags
  properties: {
    description: 'More than ten requests in five minutes failed inside the app. /api/health says what does not answer.'
    enabled: true
    severity: 2
    scopes: [appId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'failed-requests'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'Http5xx'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 10
          skipMetricValidation: true
        }
      ]
    }
    actions: [{ actionGroupId: peopleId }]
  }
}
