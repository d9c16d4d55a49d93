// The workbook in the portal: throughput, error rate, how often people overrode, and what waits.

@description('Required. The region.')
param location string

@description('Required. The name of the Application Insights resource it belongs to.')
param insightsName string

@description('Required. Tags.')
param tags object

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insights.id, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Assay'
    description: 'Throughput, error rate, override frequency, and what waits. Figures of the whole installation; nothing of a client.'
    category: 'workbook'
    sourceId: insights.id
    version: 'Notebook/1.0'
    serializedData: loadTextContent('workbook.json')
  }
}
