// Keeps the resource group where the provider said the data may be: Azure refuses a resource elsewhere, also one that a
// person makes by hand later. Who deploys this needs the right to assign policies.

@description('Required. The region the assignments are registered in.')
param location string

@description('Required. The regions that are allowed.')
param allowedLocations array

@description('The assignments: Azure\'s own policies, by their ids, with the name of the parameter that takes the regions.')
var assignments = [
  {
    name: 'assay-locations'
    policy: 'e56962a6-4747-49cd-b67b-bf8b01975c4c'
    parameter: 'listOfAllowedLocations'
    title: 'Assay: allowed locations'
  }
  {
    name: 'assay-cosmos-locations'
    policy: '0473574d-2d43-4217-aefe-941fcdf7e684'
    parameter: 'listOfAllowedLocations'
    title: 'Assay: allowed locations of Cosmos DB'
  }
]

resource assignment 'Microsoft.Authorization/policyAssignments@2025-11-01' = [
  for entry in assignments: {
    name: entry.name
    location: location
    properties: {
      displayName: entry.title
      policyDefinitionId: tenantResourceId('Microsoft.Authorization/policyDefinitions', entry.policy)
      enforcementMode: 'Default'
      parameters: { '${entry.parameter}': { value: allowedLocations } }
      nonComplianceMessages: [
        { message: 'Assay\'s data may lie in these regions only: ${join(allowedLocations, ', ')}.' }
      ]
    }
  }
]
